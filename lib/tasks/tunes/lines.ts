import { isUtf8 } from 'node:buffer';

/** The most bytes of a line that are kept; readers refuse shorter ones. */
const MOST_LINE_BYTES = 2 ** 23;
const LINE_FEED = 10;

/**
 * Splits bytes that come in chunks into lines: after LF, CR LF or CR. A line is UTF-8, or Latin-1 where it is not that.
 * Of a line beyond 8 MiB only the first 8 MiB are kept.
 */
export class LineSplitter {
  private parts: Uint8Array[] = [];
  private size = 0;
  private readonly take: (line: string) => void;

  /** @param take is given each line without its end, in order */
  constructor(take: (line: string) => void) {
    this.take = take;
  }

  push(chunk: Uint8Array): void {
    for (let from = 0; from < chunk.length; ) {
      const feed = chunk.indexOf(LINE_FEED, from);
      this.keep(chunk.subarray(from, feed < 0 ? chunk.length : feed));
      if (feed < 0) return;
      this.emit();
      from = feed + 1;
    }
  }

  /** What follows the last line feed is a line, if it is anything. */
  end(): void {
    if (this.size > 0) this.emit();
  }

  private keep(part: Uint8Array): void {
    const kept = part.subarray(0, Math.max(0, MOST_LINE_BYTES - this.size));
    // A copy: streams may use their buffers again.
    if (kept.length > 0) this.parts.push(Uint8Array.from(kept));
    this.size += kept.length;
  }

  private emit(): void {
    const bytes = Buffer.concat(this.parts, this.size);
    this.parts = [];
    this.size = 0;
    const text = bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
    for (const line of text.replace(/\r$/, '').split('\r')) this.take(line);
  }
}
