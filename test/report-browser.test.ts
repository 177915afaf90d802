import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ChordSamples, chordGallery, renderReport, tuneGallery } from '../lib/cli/report/index.ts';
import type { Point } from '../lib/evaluation/types.ts';
import { launchChromium, type Trouble, watch } from './support/browser.ts';
import { tuneScene } from './support/tune-report.ts';

const found = await launchChromium();
if ('missing' in found) process.stderr.write(`The report is not tested in a browser: ${found.missing}\n`);

const folder = mkdtempSync(join(tmpdir(), 'cfgdistill-report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Makes the page's AudioContexts visible to the test. */
const AUDIBLE = `
  globalThis.contexts = [];
  globalThis.notes = 0;
  const { AudioContext, OscillatorNode } = globalThis;
  globalThis.AudioContext = class extends AudioContext { constructor(...given) { super(...given); contexts.push(this); } };
  globalThis.OscillatorNode = class extends OscillatorNode { constructor(...given) { super(...given); notes++; } };
`;

describe.skipIf('missing' in found)('the report in Chromium', () => {
  const { browser } = found as { browser: Browser };
  const { report, samples } = tuneScene({ prompts: 3, samplesPerPrompt: 4, bars: 16 });
  let page: Page;
  let trouble: Trouble;

  const open = async (url: string): Promise<void> => {
    page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    trouble = watch(page);
    await page.addInitScript(AUDIBLE);
    await page.goto(url);
  };

  beforeAll(async () => {
    writeFileSync(join(folder, 'tunes.html'), await renderReport(report, tuneGallery(samples)));
    await open(pathToFileURL(join(folder, 'tunes.html')).href);
  });
  afterAll(() => browser.close());
  /** One page serves all tests, as it was when it opened. */
  beforeEach(async () => {
    await page.keyboard.press('Escape');
    await page.locator('#gallery-tempo').fill('110');
    await page.locator('#gallery-other').selectOption('');
    await page.locator('#gallery-prompt').selectOption('0');
    await pathRow().getByRole('slider').fill('2');
  });

  const rowOf = (name: string): Locator => page.locator('.row', { has: page.getByRole('heading', { name }) });
  const pathRow = (): Locator => page.locator('.row.path');
  const ticks = async (): Promise<number> =>
    Number(await page.locator('.tune.playing .roll').getAttribute('data-ticks', { timeout: 5000 }));
  const playing = (): Locator => page.locator('.tune.playing');
  /** The notes as they are drawn. */
  const rolls = async (row: Locator): Promise<string[]> =>
    row.locator('.roll .notes').evaluateAll((paths) => paths.map((path) => path.getAttribute('d') ?? ''));
  const noTrouble = () => expect(trouble).toEqual({ errors: [], requests: [] });

  test('shows the generators of a prompt with their tunes', async () => {
    const headings = await page.locator('#gallery .row h3').allInnerTexts();
    expect(headings.map((text) => text.replace(/\s+/g, ' ').trim())).toEqual([
      'A base',
      'B CFG γ=5 2 passes',
      'C distilled β=0',
      'D merged β=5 λ=0.4',
    ]);
    expect(await page.locator('#gallery .tune').count()).toBe(16);
    const first = page.locator('#gallery .tune').first();
    const [drawn] = samples.models.base![0]!;
    expect(await first.innerText()).toContain(`adherence ${drawn!.quality.toFixed(2)}`);
    const path = (await rolls(first)).join('');
    const sounding = drawn!.elements.filter((element) => element.kind === 'note' && element.pitch !== null);
    expect(path.match(/M/g)).toHaveLength(sounding.length);
    noTrouble();
  });

  test('plays a tune, shows where it is, and stops', async () => {
    expect(await page.evaluate('contexts.length')).toBe(0);
    const play = rowOf('base').getByRole('button', { name: 'Play tune 2 of base' });
    const sounded = Number(await page.evaluate('notes'));
    await play.click();
    await expect.poll(() => page.evaluate('contexts[0]?.state')).toBe('running');
    expect(await page.evaluate('notes')).toBeGreaterThan(sounded);
    const before = await ticks();
    await expect.poll(ticks).toBeGreaterThan(before + 20);
    // 110 beats of 36 ticks a minute: the position follows the sound's own clock.
    const [at, seconds] = [await ticks(), (await page.evaluate('contexts[0].currentTime')) as number];
    expect(at).toBeLessThanOrEqual((seconds * 110 * 36) / 60 + 1);
    expect(await playing().locator('.head[visibility="visible"]').count()).toBe(1);
    expect(await page.locator('.mark.current:not(.copy)').count()).toBe(1);
    await rowOf('base').getByRole('button', { name: 'Stop tune 2 of base' }).click();
    expect(await playing().count()).toBe(0);
    expect(await page.locator('.head[visibility="visible"]').count()).toBe(0);
    expect(await page.evaluate('contexts.length')).toBe(1);
    noTrouble();
  });

  test('plays one tune at a time, from where its roll is pressed, as fast as is chosen', async () => {
    await page.getByRole('button', { name: 'Play tune 1 of base' }).click();
    const roll = rowOf('CFG γ=5').locator('.roll').first();
    const { width, height } = (await roll.boundingBox())!;
    await roll.click({ position: { x: width / 2, y: height / 2 } });
    expect(await playing().count()).toBe(1);
    expect(await playing().getAttribute('aria-label')).toContain('tune 1 of CFG γ=5');
    const whole = samples.models['CFG γ=5']![0]![0]!.elements.reduce(
      (sum, e) => sum + (e.kind === 'note' ? e.ticks : 0),
      0,
    );
    expect(Math.abs((await ticks()) - whole / 2)).toBeLessThan(whole / 6);
    const written = await rowOf('base').locator('.time').first().innerText();
    await page.locator('#gallery-tempo').fill('200');
    expect(await page.locator('#gallery-beats').innerText()).toBe('200 beats a minute');
    expect(await rowOf('base').locator('.time').first().innerText()).not.toBe(written);
    expect(await playing().count()).toBe(1);
    await page.keyboard.press('Escape');
    expect(await playing().count()).toBe(0);
    noTrouble();
  });

  test('ends by itself at the end of the tune', async () => {
    await page.locator('#gallery-tempo').fill('200');
    const roll = rowOf('base').locator('.roll').first();
    const { width, height } = (await roll.boundingBox())!;
    await roll.click({ position: { x: width * 0.9, y: height / 2 } });
    await playing().waitFor({ state: 'attached' });
    await playing().waitFor({ state: 'detached', timeout: 10_000 });
    noTrouble();
  });

  test('goes along the merges: rolls, figures and intervals are those of each λ', async () => {
    const slider = pathRow().getByRole('slider');
    await pathRow()
      .getByRole('button', { name: /^Play tune 3/ })
      .click();
    const seen = new Set<string>();
    for (const [stop, lambda] of [0, 0.2, 0.4, 0.6, 0.8, 1].entries()) {
      await slider.fill(String(stop));
      const name = lambda === 0 ? 'distilled β=0' : lambda === 1 ? 'distilled β=5' : `merged β=5 λ=${lambda}`;
      const { quality, diversity, interval } = report.points.find((point) => point.name === name)!;
      expect(await slider.getAttribute('aria-valuetext')).toBe(`λ = ${lambda}, ${name}`);
      const text = (await pathRow().innerText()).replace(/\s+/g, ' ');
      for (const figure of [quality, diversity, ...interval.quality, ...interval.diversity]) {
        expect(text).toContain(figure.toFixed(2));
      }
      seen.add((await rolls(pathRow())).join());
      // What was heard goes on, as the same tune of the next model.
      expect(await playing().getAttribute('aria-label')).toContain(`tune 3 of ${name}`);
    }
    expect(seen.size).toBe(6);
    await slider.focus();
    await page.keyboard.press('ArrowLeft');
    expect(await slider.getAttribute('aria-valuetext')).toContain('λ = 0.8');
    noTrouble();
  });

  test('changes the prompt, and stops what plays', async () => {
    const before = await rolls(page.locator('#gallery'));
    const places = await page
      .locator('.mark circle')
      .evaluateAll((marks) => marks.map((mark) => mark.getAttribute('cx')));
    await page.getByRole('button', { name: 'Play tune 1 of base' }).click();
    await page.locator('#gallery-prompt').selectOption({ label: samples.prompts[1]!.text });
    expect(await playing().count()).toBe(0);
    const after = await rolls(page.locator('#gallery'));
    expect(after).toHaveLength(before.length);
    expect(after).not.toEqual(before);
    expect(
      await page
        .locator('.mark:not(.copy) circle')
        .evaluateAll((marks) => marks.map((mark) => mark.getAttribute('cx'))),
    ).not.toEqual(places);
    await page.getByRole('button', { name: 'Previous prompt' }).click();
    expect(await rolls(page.locator('#gallery'))).toEqual(before);
    noTrouble();
  });

  test('plays what is pressed on the map, by pointer and by keyboard', async () => {
    expect(await page.locator('.mark:not(.copy)').count()).toBe(16);
    expect(await page.locator('.dot').count()).toBe(4 * (report.points.length - 4));
    // The last one lies on top of all others.
    await page.locator('.mark:not(.copy)').last().click();
    expect(await playing().getAttribute('aria-label')).toContain('tune 4 of merged β=5 λ=0.4');
    expect(await page.locator('.mark.current:not(.copy)').getAttribute('aria-label')).toContain(
      'Tune 4 of merged β=5 λ=0.4',
    );
    await page.keyboard.press('Escape');
    await page.locator('.mark[tabindex="0"]').focus();
    expect(await page.locator('.tune.hovered').count()).toBe(1);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    expect(await playing().getAttribute('aria-label')).toContain('tune 2 of base');
    // A generator without a row gets one.
    const name = 'nucleus p=0.8';
    const dot = page.locator('.dot', { has: page.locator('title', { hasText: `Tune 2 of ${name}:` }) });
    await dot.dispatchEvent('click');
    expect(await playing().getAttribute('aria-label')).toContain(`tune 2 of ${name}`);
    expect(await page.locator('#gallery-other').inputValue()).toBe(
      String(report.points.findIndex((point) => point.name === name)),
    );
    noTrouble();
  });

  test('shows any generator that is pressed in the table, and sorts by further measures', async () => {
    await page.locator('#points').getByRole('button', { name: 'off-policy β=0' }).click();
    expect(await rowOf('off-policy β=0').count()).toBe(1);
    await page.locator('#points').getByRole('button', { name: 'Full bars' }).click();
    const values = await page
      .locator('#points tbody tr')
      .evaluateAll((rows) =>
        rows.map((row) =>
          Number((row as unknown as { cells: { dataset: { value: string } }[] }).cells[9]!.dataset.value),
        ),
      );
    expect(values).toEqual(report.points.map((point) => point.measures!.fullBars!).sort((a, b) => b - a));
    noTrouble();
  });

  test.each([
    ['dark', 1280],
    ['light', 360],
  ] as const)('fits a %s screen of %i pixels', async (colorScheme, width) => {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 800 });
    await page.reload();
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
    noTrouble();
  });

  test('opens the chords, strums one and goes along the merges', async () => {
    const points = report.points.map((point): Point => ({ ...point }));
    const chords: ChordSamples = {
      prompts: [{ instrument: 'guitar', key: 'C', suffix: 'major' }],
      models: Object.fromEntries(
        points.map(({ name }, index) => [
          name,
          [
            [
              [-1, 3, 2, 0, 1, 0],
              [-1, 3, 2, index % 9, 1, 0],
            ],
          ],
        ]),
      ),
    };
    const tunings = { guitar: [40, 45, 50, 55, 59, 64] };
    const gallery = chordGallery(chords, { isValid: () => true, tunings });
    const { quality: _, ...byRule } = report;
    writeFileSync(join(folder, 'chords.html'), await renderReport({ ...byRule, task: 'chords' }, gallery));
    await page.close();
    await open(pathToFileURL(join(folder, 'chords.html')).href);
    await page.locator('.chord').first().click();
    await expect.poll(() => page.evaluate('contexts[0]?.state')).toBe('running');
    const diagram = () => pathRow().locator('.chord').last().getAttribute('aria-label');
    const before = await diagram();
    await pathRow().getByRole('slider').fill('0');
    expect(await diagram()).not.toBe(before);
    noTrouble();
  });
});
