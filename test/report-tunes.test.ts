import { describe, expect, test } from 'vitest';
import { renderReport, type TuneSample, type TuneSamples, tuneGallery } from '../lib/cli/report/index.ts';
import type { PackedSamples } from '../lib/cli/report/tunes/samples.ts';
import type { Report } from '../lib/evaluation/types.ts';
import type { Bar, Note } from '../lib/tasks/tunes/tune.ts';
import { tuneScene } from './support/tune-report.ts';

const HOSTILE = `</script><!--<img src=x onerror="alert(1)">&'\\\u2028`;

const note = (pitch: number | null, ticks: number, tied = false): Note => ({ kind: 'note', pitch, ticks, tied });
const bar = (line: Bar['line']): Bar => ({ kind: 'bar', line });

interface Data {
  quality: string;
  answers: string;
  shown: boolean[];
  gallery: PackedSamples & { rows: number[]; paths: { beta: number; stops: { lambda: number; point: number }[] }[] };
}

/** The document without the content of its scripts and styles. */
const markup = (text: string) => text.replace(/<(script|style)\b([^>]*)>[\s\S]*?<\/\1>/g, '<$1$2></$1>');
const json = (text: string) => text.match(/<script type="application\/json" id="data">([\s\S]*?)<\/script>/)![1]!;
const dataOf = (text: string): Data => JSON.parse(json(text));

/** The elements that a packed melody stands for. */
function unpack(melody: string, tokens: PackedSamples['tokens']): (Note | Bar)[] {
  const known = new Map(tokens);
  return [...melody].map((character) => {
    const token = known.get(character)!;
    return typeof token === 'string' ? bar(token) : note(token[0], token[1], token[2] === 1);
  });
}

const small = tuneScene({ prompts: 2, samplesPerPrompt: 3, bars: 4 });

function oneTune(
  elements: TuneSample['elements'],
  changes: Partial<TuneSample> = {},
  prompt = small.samples.prompts[0]!,
) {
  const sample: TuneSample = { elements, quality: 0.5, valid: true, map: [0, 0], ...changes };
  const samples: TuneSamples = { prompts: [prompt], models: { base: [[sample]] } };
  return renderReport(small.report, tuneGallery(samples));
}

describe('tunes in the report', () => {
  test('packs every tune so that it can be had back, with its figures', async () => {
    const { report, samples } = small;
    const { gallery, shown } = dataOf(await renderReport(report, tuneGallery(samples)));
    expect(shown).toEqual(report.points.map(() => true));
    report.points.forEach(({ name }, point) => {
      samples.models[name]!.forEach((drawn, prompt) => {
        const packed = gallery.tunes[point]![prompt]!;
        expect(packed.melodies.map((melody) => unpack(melody, gallery.tokens))).toEqual(
          drawn.map(({ elements }) => elements),
        );
        expect([...packed.valid].map((digit) => digit === '1')).toEqual(drawn.map(({ valid }) => valid));
        drawn.forEach(({ quality, map }, sample) => {
          expect(packed.quality[sample]).toBeCloseTo(quality, 4);
          expect(packed.map[2 * sample]).toBeCloseTo(map[0], 3);
          expect(packed.map[2 * sample + 1]).toBeCloseTo(map[1], 3);
        });
      });
    });
  });

  test('packs rests, ties and all bar lines, and thousands of different notes', async () => {
    const all = [
      ...[note(60, 24, true), note(60, 12), note(null, 96), note(0, 1), note(127, 9600)],
      ...(['|', '||', '|:', ':|', '::', '|1', ':|2', '||1'] as const).map(bar),
      ...Array.from({ length: 9000 }, (_, index) => note(index % 128, 1 + Math.floor(index / 128))),
    ];
    const text = await oneTune(all);
    const { gallery } = dataOf(text);
    expect(unpack(gallery.tunes[0]![0]!.melodies[0]!, gallery.tokens)).toEqual(all);
    // None of the characters has a meaning in JSON or HTML.
    expect(gallery.tokens.filter(([character]) => /[<"\\\s\p{C}\p{M}]/u.test(character))).toEqual([]);
  });

  test('takes hardly more than a byte for a note', async () => {
    const { report, samples } = tuneScene({ prompts: 4, samplesPerPrompt: 4, bars: 16 });
    const text = json(await renderReport(report, tuneGallery(samples)));
    const tunes = Object.values(samples.models).flat(2);
    const elements = tunes.reduce((sum, tune) => sum + tune.elements.length, 0);
    const melodies = dataOf(`<script type="application/json" id="data">${text}</script>`).gallery.tunes.flatMap(
      (prompts) => prompts!.flatMap((packed) => packed.melodies),
    );
    expect(melodies).toHaveLength(tunes.length);
    expect(Buffer.byteLength(melodies.join(''))).toBeLessThan(1.1 * elements);
    expect(Buffer.byteLength(text)).toBeLessThan(1.1 * elements + 50 * tunes.length + 30_000);
  });

  test('tells what a prompt asks for: bar, beat, tonic and scale', async () => {
    const prompts = [
      { text: 'a jig in 6/8, D major', meter: '6/8' },
      { text: 'a slow air in 3/4, A minor', meter: '3/4' },
      { text: 'a march in 2/2, Bb mixolydian', meter: '2/2' },
      { text: 'something', meter: '' },
    ];
    const gallery = tuneGallery({ prompts, models: { base: prompts.map(() => []) } });
    const found = dataOf(await renderReport(small.report, gallery)).gallery;
    expect(found.prompts.map(({ bar, beat, tonic, scale }) => [bar, beat, tonic, scale])).toEqual([
      [72, 36, 2, [1, 2, 4, 6, 7, 9, 11]],
      [72, 24, 9, [0, 2, 4, 5, 7, 9, 11]],
      [96, 48, 10, [0, 2, 3, 5, 7, 8, 10]],
      [null, 24, null, null],
    ]);
    expect(found.tunes.map((tunes) => tunes !== null)).toEqual(small.report.points.map((_, index) => index === 0));
  });

  test('points out the measures that are not full', async () => {
    const six = { text: 'a jig in 6/8', meter: '6/8' };
    const unevenOf = async (elements: (Note | Bar)[], prompt = six) =>
      dataOf(await oneTune(elements, {}, prompt)).gallery.tunes[0]![0]!.uneven[0];
    const full = [note(60, 72), bar('|')];
    const short = [note(60, 60), bar('|')];
    expect(await unevenOf([...full, ...full])).toEqual([]);
    expect(await unevenOf([...full, ...short, ...full, ...short])).toEqual([1, 3]);
    // An upbeat is none, nor is a last measure that lacks it.
    expect(await unevenOf([note(60, 12), bar('|'), ...full, note(60, 60), bar(':|')])).toEqual([]);
    expect(await unevenOf([...full, ...short], { text: 'free', meter: '' })).toEqual([]);
  });

  test('shows the base, guidance at its best, the distilled model and the merges, in the words of the report', async () => {
    const { report, samples } = small;
    const text = await renderReport(report, tuneGallery(samples));
    const { gallery, quality, answers } = dataOf(text);
    const name = (index: number) => report.points[index]!.name;
    expect([quality, answers]).toEqual(['adherence', 'tunes']);
    expect(gallery.rows.map(name)).toEqual(['base', 'CFG γ=5', 'distilled β=0']);
    expect(gallery.paths.map(({ stops }) => stops.map(({ lambda, point }) => [lambda, name(point)]))).toEqual([
      [
        [0, 'distilled β=0'],
        ...[0.2, 0.4, 0.6, 0.8].map((lambda) => [lambda, `merged β=5 λ=${lambda}`]),
        [1, 'distilled β=5'],
      ],
    ]);
    const page = markup(text);
    for (const said of [
      'adherence (cosine of the prompt and the tune',
      'no barrier seen',
      '−0.05 (−0.08 to −0.02)',
      '<b>0.291</b> <small>0.279–0.302</small>',
      'Distilled off-policy',
      'The teacher',
      'rewarded: behind “diversity”',
      '<strong>36.0 %</strong> of 215',
      '<strong>22.0 %</strong> of 87',
      'Copied 8-grams',
      'share of the bars that last as long as the metre says',
      '9.25',
      'Choosing a generator shows its tunes',
      'Merged, largest quality × diversity',
    ]) {
      expect(page).toContain(said);
    }
    expect(page).not.toMatch(/chord|share of valid|voicing|svguitar/i);
    expect(text).not.toContain('SVGuitarChord');
    for (const id of ['front', 'gallery', 'merging', 'areas', 'claims', 'rollouts', 'training', 'points', 'run']) {
      expect(page).toContain(`href="#${id}"`);
      expect(page).toContain(`<section id="${id}"`);
    }
  });

  test('leaves out the sections of what was not measured', async () => {
    const {
      mergePaths: _m,
      hypervolumes: _h,
      rollouts: _r,
      embedders: _e,
      adherence: _a,
      measures: _s,
      ...rest
    } = small.report;
    const report: Report = { ...rest, points: rest.points.map(({ measures: _, ...point }) => point) };
    const page = markup(await renderReport(report, tuneGallery(small.samples)));
    expect(page).not.toMatch(/id="(merging|areas|rollouts)"|#merging|#areas|#rollouts|class="glossary"/);
    expect(page).toContain('The embedder behind “diversity”');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('escapes prompts, measures and names', async () => {
    const measures = { [HOSTILE]: HOSTILE };
    const report: Report = {
      ...small.report,
      measures,
      quality: { name: HOSTILE, meaning: HOSTILE },
      embedders: [{ name: HOSTILE, role: 'rewarded', retrievalAt1: 1, candidates: 2 }],
      points: small.report.points.map((point) => ({ ...point, measures: { [HOSTILE]: 1 } })),
    };
    const gallery = tuneGallery({ prompts: [{ text: HOSTILE, meter: '' }], models: { base: [[]] } });
    const text = await renderReport(report, gallery);
    const calm = await renderReport(small.report, tuneGallery(small.samples));
    expect(markup(text)).not.toContain('<img');
    expect(text.match(/<script/g)!.length).toBe(calm.match(/<script/g)!.length);
    expect(text.match(/<\/script/g)!.length).toBe(calm.match(/<\/script/g)!.length);
    expect(dataOf(text).gallery.prompts[0]!.text).toBe(HOSTILE);
  });

  test('works without prompts, and with figures that are not finite', async () => {
    const text = await renderReport(small.report, tuneGallery({ prompts: [], models: {} }));
    expect(markup(text)).toContain('There are no samples to show.');
    expect(dataOf(text).shown).toEqual(small.report.points.map(() => false));
    const odd = dataOf(await oneTune([], { quality: Number.NaN })).gallery.tunes[0]![0]!;
    expect(odd).toEqual({ melodies: [''], quality: [null], valid: '1', map: [0, 0], uneven: [[]] });
  });

  test('refuses samples that are none, naming them', async () => {
    const fails = async (elements: unknown[], message: string, changes: Partial<TuneSample> = {}) =>
      expect(oneTune(elements as Note[], changes)).rejects.toThrow(message);
    const at = 'samples.models["base"][0][0]';
    await fails([note(128, 12)], `${at}.elements[0]: expected a pitch from 0 to 127, got {"kind":"note","pitch":128`);
    await fails([note(60, 12), note(60, 0)], `${at}.elements[1]: expected a whole number of ticks`);
    await fails([{ kind: 'bar', line: '|]' }], `${at}.elements[0]: expected a bar line of | || |: :| :: |1 :|2 ||1`);
    await fails([{ kind: 'chord' }], `${at}.elements[0]: expected a note or a bar`);
    await fails([], `${at}.map: expected two finite numbers, got [0,null]`, { map: [0, Number.NaN] });
    await expect(oneTune([], {}, { text: '', meter: '6/7' })).rejects.toThrow(
      'samples.prompts[0].meter: expected a metre as "6/8" or "", got "6/7"',
    );
    const { prompts } = small.samples;
    const render = (models: TuneSamples['models']) => renderReport(small.report, tuneGallery({ prompts, models }));
    await expect(render({ nobody: [] })).rejects.toThrow('samples.models: expected names of points, got "nobody"');
    await expect(render({ base: [[]] })).rejects.toThrow(
      'samples.models["base"]: expected one list for each of 2 prompts, got 1',
    );
  });
});
