/** Takes the subject out of a module. */

import type { Subject } from './subject.js';

/** Of CommonJS the default export is a property of the default export. */
interface Exports {
  readonly default?: { readonly default?: unknown };
}

/** The default export of the module at this URL. Rejects with an Error that says what is missing. */
export async function loadSubject(url: string): Promise<Subject> {
  const module = (await import(url)) as Exports;
  const subject = module.default?.default ?? module.default;
  if (!isSubject(subject)) {
    throw new Error(`${url} has no subject as its default export: an object with name, capabilities, module and open`);
  }
  return subject;
}

function isSubject(value: unknown): value is Subject {
  if (typeof value !== 'object' || value === null) return false;
  const { name, capabilities, module, open } = value as Readonly<Record<string, unknown>>;
  return (
    typeof name === 'string' &&
    typeof capabilities === 'object' &&
    capabilities !== null &&
    typeof module === 'function' &&
    typeof open === 'function'
  );
}
