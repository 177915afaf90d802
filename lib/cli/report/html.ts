/** A piece of HTML that needs no further escaping. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template of {@link html} may hold: text is escaped, {@link Html} is not, arrays are joined, `null` is nothing. */
export type HtmlValue = string | number | Html | null | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text as HTML, safe in element content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}

/** Template tag that escapes whatever is not already {@link Html}. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = strings[0]!;
  values.forEach((value, index) => {
    text += render(value) + strings[index + 1]!;
  });
  return new Html(text);
}

function render(value: HtmlValue): string {
  if (value === null) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(render).join('');
  return escapeHtml(String(value));
}

/**
 * JSON that is safe inside a `<script>` element: no character sequence of it can end the element or open a comment.
 * Numbers that JSON lacks (NaN, ±Infinity) become null.
 */
export function scriptJson(value: unknown): Html {
  return new Html(JSON.stringify(value).replace(/</g, '\\u003c'));
}

/** JavaScript source that is safe inside a `<script>` element, its source map reference (another file) removed. */
export function scriptSource(source: string): Html {
  const alone = source.replace(/^\/\/[#@] sourceMappingURL=.*$/gm, '');
  return new Html(alone.replace(/<(?=\/script)/gi, '\\x3c').replace(/<!--/g, '\\x3c!--'));
}
