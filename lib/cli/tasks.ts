import { UsageError } from './failure.ts';
import { chords } from './tasks/chords.ts';
import type { TaskEntry } from './tasks/task.ts';
import { tunes } from './tasks/tunes.ts';

/** Every task that the commands work on; the first is the default. */
export const TASKS: readonly [TaskEntry, ...TaskEntry[]] = [chords, tunes];

export const TASK_NAMES: readonly string[] = TASKS.map(({ name }) => name);

/** The tasks' names and what they are, for a help text. */
export function taskList(): string {
  return TASKS.map(({ name, summary }, i) => `${name}${i === 0 ? ' (default)' : ''}: ${summary}`).join('; ');
}

/** The task of a name, or the default one. */
export function taskNamed(name: string = TASKS[0].name): TaskEntry {
  const found = TASKS.find((task) => task.name === name);
  if (found) return found;
  throw new UsageError(`--task: expected one of ${TASK_NAMES.join(', ')}, got '${name}'`);
}

/** A remark for an option's help: its default in every task. */
export function defaultText(of: (task: TaskEntry) => string | number): string {
  if (TASKS.length === 1) return `(default: ${of(TASKS[0])})`;
  return `(default: ${TASKS.map((task) => `${of(task)} for ${task.name}`).join(', ')})`;
}
