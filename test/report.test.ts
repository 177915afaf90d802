import { describe, expect, test } from 'vitest';
import { type ChordSamples, chordGallery, renderReport } from '../lib/cli/report/index.ts';
import type { Point, Report } from '../lib/evaluation/types.ts';

const HOSTILE = `</script><img src=x onerror="alert(1)">&'`;

function point(name: string, family: Point['family'], parameters: Point['parameters'], quality: number): Point {
  return {
    name,
    family,
    parameters,
    quality,
    diversity: 1 - quality,
    independentDiversity: 0.5,
    distinctValid: 4 * quality,
    passesPerToken: family === 'guidance' ? 2 : 1,
    tokensPerSecond: family === 'guidance' ? 1000 : 1900,
    interval: { quality: [quality - 0.05, quality + 0.05], diversity: [0.95 - quality, 1.05 - quality] },
  };
}

function reportOf(points: Point[], changes: Partial<Report> = {}): Report {
  return {
    schema: 1,
    task: 'chords',
    seed: 7,
    heldOutPrompts: 2,
    samplesPerPrompt: 3,
    points,
    front: points.slice(0, 1).map(({ name }) => name),
    claims: [
      { claim: 'claim A', holds: true, figures: { gain: 0.125, interval: [-0.5, 0.75] }, why: 'because of A' },
      { claim: 'claim B', holds: false, figures: {}, why: 'because of B' },
    ],
    failureSigns: [{ sign: 'sign C', seen: true, figures: { depth: 0.2 } }],
    embedder: { retrievalAt1: 0.9, candidates: 50 },
    seconds: { base: 3.21, evaluate: 75 },
    notes: ['35 % of the captions are wrong on purpose'],
    training: { base: { step: [0, 1], metrics: { loss: [2, 1] } } },
    ...changes,
  };
}

const POINTS = [
  point('base', 'base', {}, 0.3),
  point('CFG 2', 'guidance', { scale: 2 }, 0.6),
  point('CFG 4', 'guidance', { scale: 4 }, 0.5),
  point('nucleus', 'nucleus', { topP: 0.9 }, 0.4),
  point('quality end', 'distilled', { beta: 0 }, 0.62),
  point('diverse end', 'distilled', { beta: 5 }, 0.4),
  point('halfway', 'merged', { beta: 5, lambda: 0.5 }, 0.5),
  point('quarter', 'merged', { beta: 5, lambda: 0.25 }, 0.55),
  point('halfway cold', 'merged', { beta: 5, lambda: 0.5, temperature: 0.7 }, 0.58),
];

function samplesOf(points: Point[]): ChordSamples {
  const voicings = [
    [
      [-1, 3, 2, 0, 1, 0],
      [-2, 12, 0, 0, 0, 0],
      [-1, 3, 2, 0, 1, 0],
    ],
    [[0, 0, 0, 3], [0, 0, 0, 3, 5], []],
  ];
  return {
    prompts: [
      { instrument: 'guitar', key: 'C', suffix: 'major' },
      { instrument: 'ukulele', key: 'C', suffix: HOSTILE },
    ],
    models: Object.fromEntries(points.map(({ name }) => [name, voicings])),
  };
}

const isValid = (prompt: { instrument: string }, frets: readonly number[]) =>
  frets.length === (prompt.instrument === 'guitar' ? 6 : 4) && !frets.includes(-2);

const render = (report: Report, samples = samplesOf(report.points)) =>
  renderReport(report, chordGallery(samples, { isValid }));

/** The document without the content of its scripts and styles. */
const markup = (text: string) => text.replace(/<(script|style)\b([^>]*)>[\s\S]*?<\/\1>/g, '<$1$2></$1>');

interface Data {
  points: { name: string; label: string; plain: boolean }[];
  front: number[];
  sweeps: { family: string; points: number[] }[];
  gallery: {
    voicings: (string[] | null)[];
    rows: number[];
    paths: { beta: number; stops: { lambda: number; point: number }[] }[];
    tunings: unknown[];
  };
  training: { group: string; panels: { metric: string; lines: { stage: string }[] }[] }[];
}

function dataOf(text: string): Data {
  const json = text.match(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/)?.[1];
  expect(json).toBeDefined();
  return JSON.parse(json!) as Data;
}

describe('renderReport', () => {
  test('is one well-formed document that shows every point, claim, sign, note and stage', async () => {
    const text = await render(reportOf(POINTS));
    const page = markup(text);
    expect(page).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
    expect(page.trimEnd().endsWith('</html>')).toBe(true);
    for (const tag of ['section', 'table', 'div', 'dl', 'tr', 'td', 'th', 'select', 'main', 'p', 'button', 'label']) {
      const opened = page.match(new RegExp(`<${tag}[ >]`, 'g'))?.length;
      expect([tag, opened]).toEqual([tag, page.match(new RegExp(`</${tag}>`, 'g'))?.length]);
    }
    for (const { name } of POINTS) expect(page).toContain(`<th scope="row" data-value="${name}">${name}</th>`);
    for (const said of ['claim A', 'because of B', 'sign C', '35 % of the captions', '3.2 s', '1 min 15 s', '0.125']) {
      expect(page).toContain(said);
    }
    expect(page).toContain('[−0.500, 0.750]');
    expect(page).toMatch(/claim A<\/th><td><span class="verdict good">[^/]*<\/span> holds</);
    expect(page).toMatch(/claim B<\/th><td><span class="verdict bad">[^/]*<\/span> does not hold</);
    expect(page).toMatch(/sign C<\/th><td><span class="verdict bad">[^/]*<\/span> seen</);
    expect(page).toContain('90.0 %');
    expect(page).toContain('chance is 2.0 %');
    expect(page).toContain('1.9× CFG’s speed');
  });

  test('loads nothing from anywhere', async () => {
    const text = await render(reportOf(POINTS));
    const page = markup(text);
    expect(page).toContain(`content="default-src &#39;none&#39;;`);
    const tags = page.match(/<[a-z][^>]*>/gi) ?? [];
    const links = tags.flatMap((tag) =>
      [...tag.matchAll(/\s(?:src|href|srcset|action|data|poster)\s*=\s*["']?([^"'\s>]*)/g)].map((match) => match[1]),
    );
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(link).toMatch(/^#[a-z]+$/);
    expect(page).not.toMatch(/<(link|iframe|object|embed|img|base|script[^>]* src)\b/);
    const style = text.match(/<style>([\s\S]*?)<\/style>/)?.[1];
    expect(style).toContain('--merged');
    expect(style).not.toMatch(/url\(|@import/);
    expect(text).not.toMatch(/^\/\/# sourceMappingURL/m);
  });

  test('inlines the plots and the diagrams, each script ended only by its own tag', async () => {
    const text = await render(reportOf(POINTS));
    const scripts = [...text.matchAll(/<script([^>]*)>([\s\S]*?)<\/script>/g)];
    expect(scripts.length).toBe(text.match(/<script/g)!.length);
    const [, plotly, svguitar, ...own] = scripts.map(([, , source]) => source!);
    expect(plotly).toContain('window.Plotly');
    expect(svguitar).toContain('SVGuitarChord');
    expect(own.length).toBe(9);
    for (const source of [plotly!, svguitar!]) expect(() => new Function(source)).not.toThrow();
    for (const source of own) expect(() => new Function(source)).not.toThrow();
  });

  test('escapes names, prompts, claims and stages', async () => {
    const hostile = POINTS.map((original, index) => ({ ...original, name: `${HOSTILE}${index}` }));
    const report = reportOf(hostile, {
      task: HOSTILE,
      notes: [HOSTILE],
      claims: [{ claim: HOSTILE, holds: true, figures: { [HOSTILE]: 1 }, why: HOSTILE }],
      failureSigns: [{ sign: HOSTILE, seen: false, figures: { [HOSTILE]: [1] } }],
      seconds: { [HOSTILE]: 1 },
      training: { [HOSTILE]: { step: [1], metrics: { [HOSTILE]: [1] } } },
    });
    const text = await render(report);
    const calm = await render(reportOf(POINTS));
    expect(text).not.toContain('<img');
    expect(text.match(/<script/g)!.length).toBe(calm.match(/<script/g)!.length);
    expect(text.match(/<\/script/g)!.length).toBe(calm.match(/<\/script/g)!.length);
    expect(markup(text)).toContain('&lt;/script&gt;&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;&#39;');
    const data = dataOf(text);
    expect(data.points.map(({ name }) => name)).toEqual(hostile.map(({ name }) => name));
    expect(data.training[0]!.group).toBe(HOSTILE);
  });

  test('packs the voicings with their validity, as the judge sees them', async () => {
    const { gallery } = dataOf(await render(reportOf(POINTS)));
    expect(gallery.voicings).toHaveLength(POINTS.length);
    for (const voicings of gallery.voicings) {
      expect(voicings).toEqual(['+x32010 -?c0000 +x32010', '+0003 -00035 -']);
    }
    expect(gallery.tunings).toEqual([]);
  });

  test('connects each sweep in order and the merges with their ends', async () => {
    const data = dataOf(await render(reportOf(POINTS)));
    expect(data.sweeps).toEqual([
      { family: 'guidance', points: [0, 1, 2] },
      { family: 'nucleus', points: [3, 0] },
      { family: 'distilled', points: [4, 5] },
      { family: 'merged', points: [4, 7, 6, 5] },
    ]);
    expect(data.gallery.paths).toEqual([
      {
        beta: 5,
        stops: [
          { lambda: 0, point: 4 },
          { lambda: 0.25, point: 7 },
          { lambda: 0.5, point: 6 },
          { lambda: 1, point: 5 },
        ],
      },
    ]);
    expect(data.gallery.rows).toEqual([0, 1, 4, 5]);
    expect(data.points[8]).toMatchObject({ label: 'λ 0.5, T 0.7', plain: false });
    expect(data.points[1]).toMatchObject({ label: 'γ 2', plain: true });
  });

  test('puts the distillations, which differ by β alone, into common panels', async () => {
    const curve = { step: [0], metrics: { kl: [1] } };
    const training = { base: curve, 'distill β=0': curve, 'distill β=2.5': curve, 'distill-beta-10': curve };
    const data = dataOf(await render(reportOf(POINTS, { training })));
    expect(data.training.map(({ group, panels }) => [group, panels.map(({ lines }) => lines.length)])).toEqual([
      ['base', [1]],
      ['distill', [3]],
    ]);
  });

  test.each([
    ['the base alone', POINTS.slice(0, 1)],
    ['no merged points', POINTS.filter(({ family }) => family !== 'merged')],
    ['no guidance', POINTS.filter(({ family }) => family !== 'guidance')],
    ['merges without their ends', POINTS.filter(({ family }) => family !== 'distilled')],
    ['no points', []],
  ])('works with %s', async (_, points) => {
    const text = await render(reportOf(points, { training: {}, notes: [], claims: [], failureSigns: [], seconds: {} }));
    const data = dataOf(text);
    expect(data.points).toHaveLength(points.length);
    for (const { points: line } of data.sweeps) expect(line.length).toBeGreaterThan(1);
    expect(markup(text)).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('works with figures that are not finite, and with points and prompts without samples', async () => {
    const odd = { ...POINTS[1]!, quality: Number.NaN, tokensPerSecond: Number.POSITIVE_INFINITY };
    const text = await render(reportOf([POINTS[0]!, odd]), { prompts: [], models: {} });
    const data = dataOf(text);
    expect(data.gallery.voicings).toEqual([null, null]);
    expect(data.gallery.rows).toEqual([]);
    expect(markup(text)).toContain('There are no samples to show.');
    expect(markup(text)).toContain('<td class="number" data-value="NaN" style="--share:0.0%">–');
  });

  test('refuses what does not belong together, naming it', async () => {
    const report = reportOf(POINTS);
    const samples = samplesOf(POINTS);
    await expect(render(reportOf([POINTS[0]!, POINTS[0]!]), samples)).rejects.toThrow(
      'report.points: expected unique names, got "base" twice',
    );
    await expect(render({ ...report, front: ['nobody'] })).rejects.toThrow(
      'report.front: expected names of points, got "nobody"',
    );
    await expect(render(report, { ...samples, models: { ...samples.models, nobody: [] } })).rejects.toThrow(
      'samples.models: expected names of points, got "nobody"',
    );
    await expect(render(report, { ...samples, models: { base: [[]] } })).rejects.toThrow(
      'samples.models["base"]: expected one list for each of 2 prompts, got 1',
    );
    await expect(render(report, { ...samples, models: { base: [[[1, 33]], []] } })).rejects.toThrow(
      'samples.models["base"][0][0]: expected frets from -2 to 32, got 33',
    );
  });
});
