/** Words as the name of a file: "a jig in 6/8, F# major" as "a-jig-in-6-8-f-sharp-major". May be empty. */
export function fileStem(text: string): string {
  return text
    .toLowerCase()
    .replaceAll('#', '-sharp')
    .replace(/(?<=\d)\.(?=\d)/g, '·')
    .replace(/[^\p{L}\p{N}·]+/gu, '-')
    .replaceAll('·', '.')
    .slice(0, 60)
    .replace(/^[-.]+|[-.]+$/g, '');
}
