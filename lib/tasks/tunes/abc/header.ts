import type { TuneLabels } from '../tune.ts';
import { AbcFault, type Place } from './fault.ts';
import { defaultUnit, parseMeterField, parseTempoField, parseUnitField } from './fields.ts';
import type { Fraction } from './fraction.ts';
import { clefShift, type KeyField, parseKeyField } from './key-field.ts';
import { readText } from './text.ts';

/** How far an accidental lasts in its bar: nowhere, on its letter and octave, or on its letter in every octave. */
export type Propagation = 'not' | 'octave' | 'pitch';

/** What the fields before a tune's notes say; a file's header holds the defaults of its tunes. */
export class AbcHeader {
  number = '';
  title = '';
  composer = '';
  type = '';
  meter = '';
  unit: Fraction | undefined;
  tempo = '';
  propagation: Propagation;
  key: KeyField | undefined;
  /** The first voice that a V: field names. */
  voice: string | undefined;
  /** Its own shift from written to sounding pitch, where its V: field says. */
  voiceShift: number | undefined;

  constructor(defaults: AbcHeader | Propagation) {
    if (typeof defaults === 'string') {
      this.propagation = defaults;
    } else {
      Object.assign(this, defaults);
      this.propagation = defaults.propagation;
    }
  }

  unitLength(): Fraction {
    return this.unit ?? defaultUnit(this.meter);
  }

  labels(): TuneLabels {
    const { key, mode } = this.key ?? { key: 'C', mode: 'major' as const };
    const labels = { type: this.type, meter: this.meter, key, mode };
    return this.tempo === '' ? labels : { ...labels, tempo: this.tempo };
  }

  /** @throws AbcFault at the content when it cannot be understood; fields without meaning here are left out */
  read(letter: string, content: string, place: Place): void {
    switch (letter) {
      case 'X':
        this.number = content.trim().slice(0, 20);
        break;
      case 'T':
        // Further titles are other names of the same tune.
        this.title ||= readText(content);
        break;
      case 'C':
        this.composer ||= readText(content);
        break;
      case 'R':
        this.type = readText(content).toLowerCase();
        break;
      case 'M':
        this.meter = accepted(parseMeterField(content), place).meter;
        break;
      case 'L':
        this.unit = accepted(parseUnitField(content), place).unit;
        break;
      case 'Q':
        this.tempo = parseTempoField(content, this.unitLength());
        break;
      case 'V':
        this.readVoice(content);
        break;
      case 'I':
        this.directive(content);
        break;
      case 'K':
        this.key = accepted(parseKeyField(content), place);
        break;
    }
  }

  /** The content of an I: field, or of a line that begins with %%. */
  directive(content: string): void {
    const match = /^\s*propagate-accidentals\s+(not|octave|pitch)\s*$/.exec(content);
    if (match) this.propagation = match[1] as Propagation;
  }

  private readVoice(content: string): void {
    const [name, ...words] = content.trim().split(/\s+/);
    this.voice ??= name;
    if (this.voice === name) this.voiceShift = clefShift(words) ?? this.voiceShift;
  }
}

/** @throws AbcFault at the content when the value is a message of what was expected */
export function accepted<T extends object>(value: T | string, place: Place): T {
  if (typeof value === 'string') throw new AbcFault(place, value);
  return value;
}
