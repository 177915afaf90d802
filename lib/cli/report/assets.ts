import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Html } from './html.ts';

/** What is put into the page beside its content. */
export interface Assets {
  style: Html;
  /** Classic scripts of other projects, with their licence comments. */
  libraries: string[];
  /** The page's own scripts, in the order in which they run; each a module of its own. */
  scripts: string[];
}

/** The page's scripts: the first defines what the others share. */
const SCRIPTS = ['page', 'labels', 'front', 'chord', 'strum', 'gallery', 'training', 'table'];

const STYLES = ['colours', 'layout', 'plots', 'gallery', 'tables', 'print'];

/** Reads the style, the scripts and the two libraries, from this package and from where they are installed. */
export async function loadAssets(): Promise<Assets> {
  const require = createRequire(import.meta.url);
  const own = (name: string) => readFile(new URL(name, import.meta.url), 'utf8');
  const library = (name: string) => readFile(require.resolve(name), 'utf8');
  const [styles, libraries, scripts] = await Promise.all([
    Promise.all(STYLES.map((name) => own(`./style/${name}.css`))),
    Promise.all([library('plotly.js-basic-dist-min'), library('svguitar')]),
    Promise.all(SCRIPTS.map((name) => own(`./client/${name}.client.js`))),
  ]);
  return { style: new Html(styles.join('\n')), libraries, scripts };
}
