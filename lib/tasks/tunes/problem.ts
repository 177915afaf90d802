/** Something that a reader of tunes tells about. */
export interface TuneProblem {
  /** As it was given, or below the folder that was. */
  readonly file: string;
  /** Counted from 1, where the format has lines. */
  readonly line?: number;
  /** What was expected and what came, naming file, place and tune. */
  readonly message: string;
  /** Whether it cost a tune (or the rest of a file); otherwise the tune is there, less what the message names. */
  readonly lost: boolean;
}

/** What a reader found. */
export interface TunesRead<T> {
  readonly tunes: T[];
  readonly problems: TuneProblem[];
}

/** What is told of one file. */
export const MOST_PROBLEMS = 1000;

/** Adds a problem to a file's; after the last that is told comes one that says so, and then none. */
export function tellProblem(problems: TuneProblem[], problem: TuneProblem): void {
  if (problems.length < MOST_PROBLEMS) problems.push(problem);
  else if (problems.length === MOST_PROBLEMS) {
    problems.push({ ...problem, message: `${problem.file}: further problems are not told`, lost: true });
  }
}
