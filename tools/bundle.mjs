// Packs the compiled package into few files of CommonJS. A program pays for loading the package at its first socket, and for
// the preload at every start: a module of its own costs Node.js about a millisecond, most of it for finding and linking it.
// Plain JavaScript, as everything of the build.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rollup } from 'rollup';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const { exports: faces, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const modules = readdirSync(dist, { recursive: true }).filter((path) => path.endsWith('.js'));

/** What the code itself loads when it needs it, or starts as a program: paths relative to the module that says so. */
const loaded =
  /(?:require|createRequire\(import\.meta\.url\))\('(\.[^']+\.js)'\)|new URL\('([^']+\.js)', import\.meta\.url\)/g;

/** Modules that have to stay files of their own. */
function entries() {
  const found = new Set();
  for (const face of Object.values(faces))
    if (typeof face === 'object') found.add(relative('dist', face.require?.default ?? face.default));
  for (const path of Object.values(bin)) found.add(relative('dist', path));
  for (const module of modules) {
    for (const [, required, started] of readFileSync(join(dist, module), 'utf8').matchAll(loaded)) {
      found.add(join(dirname(module), required ?? started));
    }
  }
  return Object.fromEntries([...found].map((path) => [path.replace(/\.js$/, ''), join(dist, path)]));
}

const isBuiltin = (id) => id.startsWith('node:');

/** Each module keeps the address that it had before, because what it loads is named relative to it. */
const addresses = {
  name: 'addresses',
  resolveImportMeta(property, { chunkId, moduleId }) {
    if (property !== 'url') return null;
    const path = relative(dirname(join(dist, chunkId)), moduleId);
    return `require('node:url').pathToFileURL(require('node:path').join(__dirname, ${JSON.stringify(path)})).href`;
  },
};

/** What is loaded together is one file: by every program with the preload, by the first socket, by the first that may leave TCP/IP. */
const stages = { preload: ['register/index'], hooks: ['register/activate'], switch: ['compose'] };

function stageOf(id, { getModuleInfo }) {
  // What an entry does when it is loaded is not for those who only share modules with it.
  if (getModuleInfo(id).isEntry) return null;
  for (const [stage, modules] of Object.entries(stages)) {
    const seen = new Set();
    const imports = (from) => {
      if (seen.has(from)) return;
      seen.add(from);
      getModuleInfo(from).importedIds.forEach(imports);
    };
    for (const module of modules) imports(join(dist, `${module}.js`));
    if (seen.has(id)) return stage;
  }
  return null;
}

const bundle = await rollup({
  input: entries(),
  external: (id) => isBuiltin(id) || !/^[./]/.test(id),
  plugins: [addresses],
  // Private fields put on foreign objects look like code without effect.
  treeshake: false,
  onwarn(warning) {
    throw new Error(`bundle: ${warning.message}`);
  },
});
for (const module of modules) rmSync(join(dist, module));
const { output } = await bundle.write({
  dir: dist,
  format: 'cjs',
  exports: 'named',
  interop: (id) => (id !== null && isBuiltin(id) ? 'default' : 'auto'),
  generatedCode: 'es2015',
  entryFileNames: '[name].js',
  chunkFileNames: 'chunks/[name].js',
  manualChunks: stageOf,
});
await bundle.close();

writeFileSync(join(dist, 'package.json'), '{ "type": "commonjs" }\n');
// For `import`, under which the default export of CommonJS would be a property of the default export.
const { exports: names } = output.find(({ name, isEntry }) => isEntry && name === 'index');
const own = names.filter((name) => name !== 'default' && !name.startsWith('*'));
writeFileSync(
  join(dist, 'index.mjs'),
  `import exported from './index.js';

// What is not replaced below is Node's own.
export * from 'node:net';
export const { ${own.join(', ')} } = exported;
export default exported.default;
`,
);
writeFileSync(
  join(dist, 'index.d.mts'),
  `import { netModule } from './net/import-mode.js';

export * from './index.js';
export default netModule;
`,
);
