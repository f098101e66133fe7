/** Counts the signals that it gets, and ends at SIGUSR2. */

const counts: Record<string, number> = { SIGINT: 0, SIGTERM: 0, SIGHUP: 0 };
for (const signal of Object.keys(counts)) {
  process.on(signal, () => {
    counts[signal]++;
    console.log(signal);
  });
}
process.on('SIGUSR2', () => {
  console.log(JSON.stringify(counts));
  process.exit(3);
});
setInterval(() => {}, 60_000);
console.log(`ready ${process.ppid}`);
