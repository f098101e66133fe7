/**
 * The providers that are installed in this event loop (section 2 of the digest): the one of this package, those of the
 * catalog file, and those that the program has installed. It can change while the program runs, and tells so.
 */

import type { Reason } from '../diagnostics/reasons.js';
import type { ProviderStatus } from '../diagnostics/status.js';
import type { SanServiceProvider } from '../spi/index.js';
import { whyNoProvider } from './entry.js';
import { CatalogError, type Line, loadProvider, parseCatalog, readCatalog } from './file.js';
import { watchFile } from './watcher.js';

interface FileEntry {
  readonly line: Line;
  /** Null: it could not be loaded. */
  readonly provider: SanServiceProvider | null;
  readonly failure: CatalogError | null;
}

export class Catalog {
  readonly #path: string;
  readonly #complain: (message: string) => void;
  #builtIn: readonly SanServiceProvider[] = [];
  /** What the switch knows of providers, for status displays; nothing while there is no switch. */
  inUse: () => readonly ProviderStatus[] = () => [];
  /** Null: the file has not been read. */
  #file: readonly FileEntry[] | null = null;
  #text: string | null = null;
  /** The last reading of the file failed; what was read before stays. */
  #fileFailure: CatalogError | null = null;
  readonly #installed = new Map<string, SanServiceProvider>();
  readonly #watchers = new Set<() => void>();
  #stopWatching: (() => void) | null = null;

  /** `path` of the catalog file; empty: there is none. `complain` is told, once, what of it is not used and why. */
  constructor(path: string, complain: (message: string) => void) {
    this.#path = path;
    this.#complain = complain;
  }

  /** Providers that need not be installed, before all others. */
  set builtIn(providers: readonly SanServiceProvider[]) {
    this.#builtIn = providers;
  }

  /** There are, or may be, other providers than those of this package. */
  get hasOthers(): boolean {
    return this.#path !== '' || this.#installed.size > 0;
  }

  /** WSCInstallProvider. Throws TypeError for what is no provider, and Error for one whose name or GUID is taken. */
  install(provider: SanServiceProvider): void {
    const fault = whyNoProvider(provider);
    if (fault !== null) throw new TypeError(`This is no service provider: ${fault}`);
    const taken = this.#conflict(provider, this.providers());
    if (taken !== null) throw new Error(taken);
    this.#installed.set(provider.protocolInfo.ProviderId, provider);
    this.#tell();
  }

  /** WSCDeinstallProvider, for a provider that `install` has installed. False: there is none of this GUID. */
  remove(providerId: string): boolean {
    if (!this.#installed.delete(providerId.toUpperCase())) return false;
    this.#tell();
    return true;
  }

  /** WSCEnumProtocols: all providers that could be loaded, in the order in which they are preferred. */
  providers(): readonly SanServiceProvider[] {
    this.#file ??= this.#read();
    return this.#known;
  }

  get #known(): readonly SanServiceProvider[] {
    const loaded = (this.#file ?? []).flatMap(({ provider }) => provider ?? []);
    return [...this.#builtIn, ...loaded, ...this.#installed.values()];
  }

  /** ProviderIds of those that control a SAN (WSD-REG-3): of the file's lines, whatever their modules turn out to be. */
  sanProviders(): ReadonlySet<string> {
    this.#file ??= this.#read();
    return new Set([
      ...this.#builtIn.map(({ protocolInfo }) => protocolInfo.ProviderId),
      ...this.#file.map(({ line }) => line.providerId),
      ...this.#installed.keys(),
    ]);
  }

  /** WSAProviderConfigChange: `changed` is called after each installation and removal, until what is returned is called. */
  watch(changed: () => void): () => void {
    this.#watchers.add(changed);
    if (this.#path !== '' && this.#stopWatching === null) {
      this.#stopWatching = watchFile(this.#path, () => this.#readAgain());
      if (this.#stopWatching === null) this.#complain(`changes of ${this.#path} are not noticed`);
    }
    return () => {
      if (!this.#watchers.delete(changed) || this.#watchers.size > 0) return;
      this.#stopWatching?.();
      this.#stopWatching = null;
    };
  }

  #tell(): void {
    for (const changed of [...this.#watchers]) changed();
  }

  #readAgain(): void {
    const before = this.#file ?? [];
    this.#file = this.#read();
    const same = this.#file.length === before.length && this.#file.every((entry, i) => entry === before[i]);
    if (!same) this.#tell();
  }

  /** What has been loaded stays as it is: a module of Node.js is loaded once. */
  #read(): readonly FileEntry[] {
    if (this.#path === '') return [];
    const before = this.#file ?? [];
    let lines: readonly Line[];
    try {
      const text = readCatalog(this.#path);
      // Something else has happened in the folder.
      if (text === this.#text && this.#fileFailure === null) return before;
      lines = parseCatalog(text, this.#path);
      this.#text = text;
      this.#fileFailure = null;
    } catch (error) {
      if (!(error instanceof CatalogError)) throw error;
      if (this.#fileFailure?.message !== error.message) this.#complain(error.message);
      this.#fileFailure = error;
      return before;
    }
    const entries: FileEntry[] = [];
    for (const line of lines) {
      const known = before.find(({ line: { providerId, module }, provider }) => {
        return provider !== null && providerId === line.providerId && module === line.module;
      });
      entries.push(known ?? this.#load(line, entries));
    }
    return entries;
  }

  #load(line: Line, others: readonly FileEntry[]): FileEntry {
    try {
      const value = loadProvider(this.#path, line);
      const fault = whyNoProvider(value);
      if (fault !== null) throw new CatalogError('provider-invalid', `${line.module} exports no provider: ${fault}`);
      const provider = value as SanServiceProvider;
      const taken = this.#conflict(provider, [
        ...this.#builtIn,
        ...others.flatMap((other) => other.provider ?? []),
        ...this.#installed.values(),
      ]);
      if (taken !== null) throw new CatalogError('provider-invalid', `${line.module}: ${taken}`);
      return { line, provider, failure: null };
    } catch (error) {
      if (!(error instanceof CatalogError)) throw error;
      this.#complain(error.message);
      return { line, provider: null, failure: error };
    }
  }

  #conflict({ name, protocolInfo }: SanServiceProvider, others: readonly SanServiceProvider[]): string | null {
    const same = (other: SanServiceProvider): boolean =>
      other.name === name || other.protocolInfo.ProviderId === protocolInfo.ProviderId;
    return others.some(same)
      ? `a provider '${name}', or one with the ProviderId ${protocolInfo.ProviderId}, is installed`
      : null;
  }

  /** What the switch knows of the providers, and what it never got to see. Asking loads nothing. */
  status(): ProviderStatus[] {
    const describe = (
      name: string,
      providerId: string,
      state: ProviderStatus['state'],
      reason: Reason | null = null,
      detail: string | null = null,
    ): ProviderStatus => ({ name, providerId, state, reason, detail, addresses: [] });
    const inUse = this.inUse();
    const known = new Set(inUse.map(({ providerId }) => providerId));
    const { message = '', reason = null } = this.#fileFailure ?? {};
    return [
      ...inUse,
      ...this.#known
        .filter(({ protocolInfo }) => !known.has(protocolInfo.ProviderId))
        .map(({ name, protocolInfo }) => describe(name, protocolInfo.ProviderId, 'installed')),
      ...(this.#file ?? [])
        .filter(({ failure }) => failure !== null)
        .map(({ line, failure }) =>
          describe(line.module, line.providerId, 'left-out', failure!.reason, failure!.message),
        ),
      ...(this.#fileFailure === null ? [] : [describe(this.#path, '', 'left-out', reason, message)]),
    ];
  }
}
