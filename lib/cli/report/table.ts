import type { Point, Report } from '../../evaluation/types.ts';
import { figureOfPasses } from './data.ts';
import { FAMILY_NAMES } from './families.ts';
import { count, figure, fixed, parameterText, words } from './format.ts';
import { type Html, html } from './html.ts';

interface Column {
  title: string;
  /** What it is, where the title does not say. */
  meaning?: string;
  /** What the column sorts by; text sorts alphabetically. */
  value: (point: Point) => number | string;
  content: (point: Point) => string;
  /** The 95 % interval, shown under the figure. */
  interval?: (point: Point) => readonly [number, number];
  /** Draws a bar relative to the column's largest value. */
  bar?: boolean;
}

/** A column for each further measure that some point has. */
function measureColumns({ points, measures = {} }: Report): Column[] {
  const names = [...new Set(points.flatMap((point) => Object.keys(point.measures ?? {})))];
  return names.map((name) => {
    const value = (point: Point) => point.measures?.[name] ?? Number.NaN;
    const meaning = measures[name];
    const title = words(name);
    return {
      title: title[0]!.toUpperCase() + title.slice(1),
      ...(meaning !== undefined && { meaning }),
      value,
      content: (point) => figure(value(point)),
      bar: true,
    };
  });
}

const COLUMNS: readonly Column[] = [
  { title: 'Family', value: (point) => FAMILY_NAMES[point.family], content: (point) => FAMILY_NAMES[point.family] },
  {
    title: 'Parameters',
    value: (point) => parameterText(point.parameters),
    content: (point) => parameterText(point.parameters),
  },
  {
    title: 'Quality',
    value: (point) => point.quality,
    content: (point) => fixed(point.quality),
    interval: (point) => point.interval.quality,
    bar: true,
  },
  {
    title: 'Diversity',
    value: (point) => point.diversity,
    content: (point) => fixed(point.diversity),
    interval: (point) => point.interval.diversity,
    bar: true,
  },
  {
    title: 'Independent diversity',
    value: (point) => point.independentDiversity,
    content: (point) => fixed(point.independentDiversity),
    bar: true,
  },
  {
    title: 'Distinct valid',
    value: (point) => point.distinctValid,
    content: (point) => fixed(point.distinctValid),
    bar: true,
  },
  { title: 'Passes', value: (point) => point.passesPerToken, content: (point) => figureOfPasses(point.passesPerToken) },
  {
    title: 'Tokens/s',
    value: (point) => point.tokensPerSecond,
    content: (point) => count(point.tokensPerSecond),
    bar: true,
  },
];

/** Every point with every figure; the page's script makes the columns sortable and the names buttons. */
export function tableSection(report: Report, answers: string): Html {
  const front = new Set(report.front);
  const columns = [...COLUMNS, ...measureColumns(report)];
  const largest = columns.map((column) =>
    Math.max(0, ...report.points.map((point) => Number(column.value(point))).filter(Number.isFinite)),
  );
  const rows = report.points.map((point, index) => {
    const cells = columns.map((column, position) => cell(column, point, largest[position]!));
    const onFront = front.has(point.name);
    return html`<tr data-point="${index}" data-family="${point.family}"><th scope="row" data-value="${point.name}">${point.name}</th>${cells}<td data-value="${onFront ? 1 : 0}">${onFront ? '● on the front' : ''}</td></tr>\n`;
  });
  const headings = [{ title: 'Generator' }, ...columns, { title: 'Front' }].map(heading);
  return html`<section id="points" aria-labelledby="points-title"><h2 id="points-title">All generators</h2>
<p>Sort by any column. Small figures are 95 % intervals, by bootstrap over the prompts. Choosing a generator shows its ${answers}.</p>
${glossary(columns)}
<div class="scroll"><table class="points" style="--columns:${headings.length}"><thead><tr>${headings}</tr></thead><tbody>
${rows}</tbody></table></div></section>`;
}

function heading({ title, meaning }: Pick<Column, 'title' | 'meaning'>): Html {
  return meaning === undefined
    ? html`<th scope="col">${title}</th>`
    : html`<th scope="col" title="${meaning}">${title}</th>`;
}

/** What the further measures are. */
function glossary(columns: readonly Column[]): Html | null {
  const explained = columns.filter(({ meaning }) => meaning !== undefined);
  if (explained.length === 0) return null;
  return html`<dl class="glossary">${explained.map(
    ({ title, meaning }) => html`<div><dt>${title}</dt><dd>${meaning ?? null}</dd></div>`,
  )}</dl>`;
}

function cell(column: Column, point: Point, largest: number): Html {
  const value = column.value(point);
  const text = column.content(point);
  if (typeof value === 'string') return html`<td data-value="${value}">${text}</td>`;
  const share = column.bar && largest > 0 && Number.isFinite(value) ? Math.max(0, value / largest) * 100 : 0;
  const interval = column.interval?.(point);
  const range = interval && html` <small>${fixed(interval[0])}–${fixed(interval[1])}</small>`;
  return html`<td class="number" data-value="${value}" style="--share:${share.toFixed(1)}%">${text}${range ?? null}</td>`;
}
