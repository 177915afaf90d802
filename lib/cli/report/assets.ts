import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Gallery } from './gallery.ts';
import { Html } from './html.ts';

/** What is put into the page beside its content. */
export interface Assets {
  style: Html;
  /** Classic scripts of other projects, with their licence comments. */
  libraries: string[];
  /** The page's own scripts, in the order in which they run; each a module of its own. */
  scripts: string[];
}

/** The page's scripts around the gallery's: the first defines what the others share. */
const SCRIPTS = { before: ['page', 'labels', 'front'], after: ['merging', 'training', 'table'] };

const STYLES = { before: ['colours', 'layout', 'plots'], after: ['tables', 'print'] };

/** Reads the styles, the scripts and the libraries, from this package and from where they are installed. */
export async function loadAssets(gallery: Pick<Gallery, 'libraries' | 'scripts' | 'styles'>): Promise<Assets> {
  const require = createRequire(import.meta.url);
  const own = (name: string) => readFile(new URL(name, import.meta.url), 'utf8');
  const library = (name: string) => readFile(require.resolve(name), 'utf8');
  const around = ({ before, after }: typeof SCRIPTS, within: readonly string[]) => [...before, ...within, ...after];
  const [styles, libraries, scripts] = await Promise.all([
    Promise.all(around(STYLES, gallery.styles).map((name) => own(`./style/${name}.css`))),
    Promise.all(['plotly.js-basic-dist-min', ...gallery.libraries].map(library)),
    Promise.all(around(SCRIPTS, gallery.scripts).map((name) => own(`./client/${name}.client.js`))),
  ]);
  return { style: new Html(styles.join('\n')), libraries, scripts };
}
