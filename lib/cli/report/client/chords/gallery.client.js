// The chords that the generators drew for one prompt, one row per generator.

const { data, canStrum, chordDiagram, element, fretText, strum, unpackVoicing } = globalThis.cfgdistill;

const { prompts, voicings, rows, paths, tunings } = data.gallery;
const FIRST = 8;

const box = document.getElementById('gallery-rows');
const control = (name) => document.getElementById(`gallery-${name}`);

/** Which stop of each merge path is shown; the middle one at first. */
const stops = paths.map((path) => Math.floor((path.stops.length - 1) / 2));

function chosenPrompt() {
  return Number(control('prompt').value);
}

/** The voicings of a prompt: in the order drawn, or each once with how often it came, the valid ones first. */
function voicingsOf(point, prompt) {
  const text = voicings[point][prompt];
  const drawn = text === '' ? [] : text.split(' ');
  const times = new Map();
  for (const word of drawn) times.set(word, (times.get(word) ?? 0) + 1);
  const isValid = (word) => word.startsWith('+');
  const distinct = [...times].sort(([a, m], [b, n]) => Number(isValid(b)) - Number(isValid(a)) || n - m);
  const shown = control('group').checked ? distinct : drawn.map((word) => [word, 1]);
  return {
    shown: shown.map(([word, count]) => ({ ...unpackVoicing(word), count })),
    drawn: drawn.length,
    valid: drawn.filter(isValid).length,
    distinct: times.size,
    distinctValid: distinct.filter(([word]) => isValid(word)).length,
  };
}

function chord({ frets, valid, count }, instrument) {
  const text = fretText(frets);
  const judged = valid ? 'valid' : 'not valid';
  const badge = element('span', { className: 'badge', 'aria-hidden': 'true' }, valid ? '✓' : '✗');
  const caption = element('span', { className: text.length > 11 ? 'frets long' : 'frets' }, text);
  const card = element(
    canStrum(instrument) ? 'button' : 'div',
    {
      className: `chord ${valid ? 'valid' : 'invalid'}`,
      title: `${text}, ${judged}${count > 1 ? `, drawn ${count} times` : ''}`,
    },
    badge,
    chordDiagram(frets) ?? element('span', { className: 'few' }, 'too few strings'),
    caption,
  );
  card.setAttribute('aria-label', card.title);
  if (card instanceof HTMLButtonElement) {
    card.type = 'button';
    card.addEventListener('click', () => strum(instrument, frets));
  } else {
    card.setAttribute('role', 'img');
  }
  if (count > 1) card.append(element('span', { className: 'times', 'aria-hidden': 'true' }, `×${count}`));
  return card;
}

/** The chords of one generator with what they amount to. */
function content(point, prompt) {
  const { shown, drawn, valid, distinct, distinctValid } = voicingsOf(point, prompt);
  const { instrument } = prompts[prompt];
  const all = control('all').checked ? shown : shown.slice(0, FIRST);
  const chords = element('div', { className: 'chords' }, ...all.map((voicing) => chord(voicing, instrument)));
  const more = shown.length - all.length;
  if (more > 0) chords.append(element('span', { className: 'more' }, `and ${more} more`));
  const summary = element('p', { className: 'summary' });
  summary.append(
    element('b', {}, `${distinctValid} distinct valid`),
    element('br'),
    `${valid} of ${drawn} valid`,
    element('br'),
    `${distinct} distinct`,
  );
  return { chords, summary };
}

function heading(point) {
  const { name, passesPerToken, quality, diversity } = data.points[point];
  const number = (value) => (value === null ? '–' : value.toFixed(2));
  const passes = passesPerToken > 1 ? element('span', { className: 'passes' }, `${passesPerToken} passes`) : '';
  return [
    element('h3', {}, name, ' ', passes),
    element('p', { className: 'overall' }, `all prompts: quality ${number(quality)}, diversity ${number(diversity)}`),
  ];
}

function row(point, prompt) {
  const { chords, summary } = content(point, prompt);
  const head = element('div', { className: 'head' }, ...heading(point), summary);
  return element('article', { className: 'row', 'data-family': data.points[point].family }, head, chords);
}

/** The row that a slider moves along a merge path. */
function pathRow(path, order, prompt) {
  const slider = element('input', {
    type: 'range',
    min: '0',
    max: String(path.stops.length - 1),
    step: '1',
    'aria-label': 'Interpolation weight λ',
  });
  slider.value = String(stops[order]);
  const output = element('output');
  const head = element('div', { className: 'head' });
  const article = element('article', { className: 'row path', 'data-family': 'merged' }, head);
  const ends = element('span', { className: 'ends', 'aria-hidden': 'true' });
  ends.append(element('span', {}, 'quality'), element('span', {}, 'diversity'));
  const about = element('div', { className: 'about' });
  head.append(element('div', { className: 'slide' }, output, slider, ends), about);
  const show = () => {
    const { lambda, point } = path.stops[stops[order]];
    const { chords, summary } = content(point, prompt);
    output.textContent = `λ = ${lambda}`;
    slider.setAttribute('aria-valuetext', `λ = ${lambda}, ${data.points[point].name}`);
    about.replaceChildren(...heading(point), summary);
    article.querySelector('.chords')?.remove();
    article.append(chords);
  };
  slider.addEventListener('input', () => {
    stops[order] = Number(slider.value);
    show();
  });
  show();
  return article;
}

function show() {
  const prompt = chosenPrompt();
  const each = control('each').checked;
  const other = control('other').value;
  const ends = new Set(rows);
  box.replaceChildren(
    ...(other === '' ? [] : [row(Number(other), prompt)]),
    ...rows.map((point) => row(point, prompt)),
    ...(each
      ? paths.flatMap((path) =>
          path.stops.filter(({ point }) => !ends.has(point)).map(({ point }) => row(point, prompt)),
        )
      : paths.map((path, order) => pathRow(path, order, prompt))),
  );
}

function step(by) {
  const options = [...control('prompt').options];
  const at = control('prompt').selectedIndex;
  control('prompt').selectedIndex = (at + by + options.length) % options.length;
  show();
}

if (box !== null) {
  if (tunings.length === 0) document.querySelector('.audible').hidden = true;
  if (paths.length === 0) control('each').parentElement.hidden = true;
  control('previous').addEventListener('click', () => step(-1));
  control('next').addEventListener('click', () => step(1));
  for (const name of ['prompt', 'group', 'all', 'each', 'other']) control(name).addEventListener('change', show);
  document.addEventListener('show-point', ({ detail }) => {
    if (voicings[detail] === null) return;
    control('other').value = String(detail);
    show();
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    document.getElementById('gallery').scrollIntoView({ behavior: calm ? 'auto' : 'smooth' });
  });
  show();
}
