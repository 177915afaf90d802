import { ValueError } from '../../errors.ts';
import { writeAbc } from '../../tasks/tunes/abc/write.ts';
import { countFullBars } from '../../tasks/tunes/bars.ts';
import { checkTune } from '../../tasks/tunes/checks.ts';
import { generatedTune } from '../../tasks/tunes/generated-tune.ts';
import { isValidTune } from '../../tasks/tunes/judge.ts';
import { askedFor } from '../../tasks/tunes/prompt.ts';
import type { TuneVocabulary } from '../../tasks/tunes/vocabulary.ts';
import type { Answered, TaskAnswer } from './task.ts';

/** A generation as ABC, with what can be said of it without a model. */
export function tuneAnswer(vocabulary: TuneVocabulary, prompt: string, tokens: Int32Array): TaskAnswer {
  const { meter = '' } = askedFor(prompt);
  const common = vocabulary.decode(tokens);
  const checks = { bars: countFullBars(common, meter), ...checkTune(common, meter) };
  try {
    const abc = writeAbc(generatedTune(vocabulary, prompt, tokens));
    return { text: abc, valid: isValidTune({ vocabulary }, tokens, meter), json: { abc, checks } };
  } catch (error) {
    // The key asked for may take a pitch out of what there is.
    if (!(error instanceof ValueError)) throw error;
    return { text: `% ${error.message}\n`, valid: false, json: { abc: null, checks } };
  }
}

/** Answers as one ABC file, what is said of each in comments. */
export function tuneListing(answered: readonly Answered[]): string {
  let number = 0;
  const parts = answered.flatMap(({ prompt, answers }) =>
    answers.map(({ answer: { text, json }, logProbability }) => {
      const { bars } = json.checks as { bars: { measures: number; full: number } };
      const said = bars.measures > 0 ? `${bars.full} of ${bars.measures} bars full, ` : '';
      const words = prompt.text.replace(/\s+/g, ' ');
      const abc = text.replace(/^X:1\n/, () => `X:${++number}\n`);
      return `% ${words}: ${said}log-probability ${logProbability.toFixed(2)}\n${abc}`;
    }),
  );
  return `%abc-2.1\n${parts.join('\n')}`.trimEnd();
}
