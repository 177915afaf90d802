import { ValueError } from '../../../errors.ts';

/** Where something stands in ABC text: the line and the column, both counted from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** ABC text that cannot be read; `line` and `column` say where. The message is without the source's name. */
export class AbcFault extends Error {
  readonly place: Place;

  constructor(place: Place, message: string) {
    super(message);
    this.place = place;
  }

  /** As the caller is told: `reels.abc:12:5: X:3 "The Title": expected …, got …`. */
  toError(source: string, tune: string): ValueError {
    return new ValueError(this.describe(source, tune), source, { cause: this });
  }

  describe(source: string, tune: string): string {
    return `${source}:${this.place.line}:${this.place.column}: ${tune}: ${this.message}`;
  }
}
