// The tunes that the generators wrote for one prompt, one row per generator, beside their map.

const { data, badge, drawMap, element, fixed, highlightOnMap, player, playingCard, tuneCard, tunesOf } =
  globalThis.cfgdistill;

const { rows, paths } = data.gallery;
/** Tunes of a generator that are shown at first. */
const FIRST = 4;

const box = document.getElementById('gallery-rows');
const control = (name) => document.getElementById(`gallery-${name}`);

/** Which stop of each merge path is shown; the middle one at first. */
const stops = paths.map((path) => Math.floor((path.stops.length - 1) / 2));

/** The rows shown: `{ point, letter, cards }`. */
let shown = [];

const letterOf = (order) => (order < 26 ? String.fromCharCode(65 + order) : String(order));

function chosenPrompt() {
  return Number(control('prompt').value);
}

/** Ends of the scale of a figure over all generators, intervals included. */
function endsOf(key) {
  const values = data.points.flatMap((point) => [point[key], ...point.interval[key]]).filter((value) => value !== null);
  const [low, high] = [Math.min(0, ...values), Math.max(...values)];
  return [low, high > low ? high : low + 1];
}

/** A figure of a generator with its interval, as numbers and drawn. */
function gauge(title, point, key) {
  const [low, high] = endsOf(key);
  const share = (value) => `${((((value ?? low) - low) / (high - low)) * 100).toFixed(1)}%`;
  const [from, to] = point.interval[key];
  const drawn = element('span', { className: 'gauge', 'aria-hidden': 'true' });
  for (const [name, value] of Object.entries({ at: point[key], from, to })) {
    drawn.style.setProperty(`--${name}`, share(value));
  }
  const text = element('dd', {}, element('b', {}, fixed(point[key])), ` ${fixed(from)}–${fixed(to)}`);
  return element('div', { className: key }, element('dt', {}, title), text, drawn);
}

/** What a generator is and amounts to, over all prompts and for this one. */
function about(index, letter, prompt) {
  const point = data.points[index];
  const tunes = tunesOf(index, prompt);
  const valid = tunes.filter((tune) => tune.valid).length;
  const known = tunes.map(({ quality }) => quality).filter((quality) => quality !== null);
  const mean = known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  const passes =
    point.passesPerToken > 1 ? element('span', { className: 'passes' }, `${point.passesPerToken} passes`) : '';
  return [
    element('h3', {}, badge(letter, point.family), ' ', point.name, ' ', passes),
    element(
      'dl',
      { className: 'gauges' },
      gauge(data.quality, point, 'quality'),
      gauge('diversity', point, 'diversity'),
    ),
    element(
      'p',
      { className: 'summary' },
      `this prompt: ${data.quality} ${fixed(mean)}, ${valid} of ${tunes.length} valid`,
    ),
  ];
}

/** The cards of a generator's tunes. */
function cardsOf(point, letter, prompt) {
  const tunes = tunesOf(point, prompt);
  return (control('all').checked ? tunes : tunes.slice(0, FIRST)).map((tune) => tuneCard(tune, letter));
}

function tunesBox(cards, point, prompt) {
  const more = tunesOf(point, prompt).length - cards.length;
  const grid = element('div', { className: 'tune-grid' }, ...cards.map(({ node }) => node));
  if (more > 0) grid.append(element('span', { className: 'more' }, `and ${more} more`));
  return grid;
}

function row(point, letter, prompt) {
  const cards = cardsOf(point, letter, prompt);
  const head = element('div', { className: 'head' }, ...about(point, letter, prompt));
  const node = element(
    'article',
    { className: 'row', 'data-family': data.points[point].family, 'data-point': String(point) },
    head,
    tunesBox(cards, point, prompt),
  );
  return { point, letter, cards, node };
}

/** The row that a slider moves along a merge path. */
function pathRow(path, order, letter, prompt) {
  const last = path.stops.length - 1;
  const slider = element('input', { type: 'range', min: '0', max: String(last), step: '1' });
  slider.setAttribute('aria-label', `Interpolation weight λ${path.beta === null ? '' : ` towards β ${path.beta}`}`);
  slider.value = String(stops[order]);
  const output = element('output', { 'aria-live': 'off' });
  const ticks = element('div', { className: 'ticks', 'aria-hidden': 'true' });
  ticks.append(...path.stops.map(({ lambda }) => element('span', {}, String(lambda))));
  const ends = element('div', { className: 'ends', 'aria-hidden': 'true' });
  ends.append(element('span', {}, 'quality'), element('span', {}, 'diversity'));
  const slide = element('div', { className: 'slide' }, output, slider, ticks, ends);
  const describe = element('div', { className: 'about' });
  const head = element('div', { className: 'head' }, slide, describe);
  const node = element('article', { className: 'row path', 'data-family': 'merged' }, head);
  const entry = { letter, node };
  const show = () => {
    const { lambda, point } = path.stops[stops[order]];
    entry.point = point;
    entry.cards = cardsOf(point, letter, prompt);
    output.textContent = `λ = ${lambda}`;
    slider.setAttribute('aria-valuetext', `λ = ${lambda}, ${data.points[point].name}`);
    node.dataset.point = String(point);
    describe.replaceChildren(...about(point, letter, prompt));
    node.querySelector('.tune-grid')?.remove();
    node.append(tunesBox(entry.cards, point, prompt));
  };
  slider.addEventListener('input', () => {
    // A tune of this row that plays goes on as the same tune of the model that the slider comes to.
    const heard = entry.cards.indexOf(playingCard());
    const position = player.position();
    stops[order] = Number(slider.value);
    show();
    drawRowsOnMap();
    if (heard >= 0 && entry.cards[heard] !== undefined) playOn(entry.cards[heard], position);
  });
  show();
  return entry;
}

function playOn(card, position) {
  if (card.tune.notes.length === 0) player.stop();
  else card.play(position < card.tune.ticks ? position : 0);
}

function drawRowsOnMap() {
  drawMap(chosenPrompt(), shown, playFromMap);
  highlightOnMap('current', playingCard()?.tune ?? null);
}

/** Plays the tune of a mark; a generator that is not shown yet gets the row for comparison. */
function playFromMap(tune) {
  if (!shown.some(({ point }) => point === tune.point)) {
    control('other').value = String(tune.point);
    show();
  } else if (!shown.some(({ cards }) => cards.some((card) => card.tune === tune))) {
    control('all').checked = true;
    show();
  }
  const card = shown.flatMap(({ cards }) => cards).find((other) => other.tune === tune);
  if (card === undefined) return;
  if (playingCard() === card) player.stop();
  else if (tune.notes.length > 0) card.play();
}

function show() {
  player.stop();
  const prompt = chosenPrompt();
  const { value } = control('other');
  const fixedRows = rows.map((point) => (letter) => row(point, letter, prompt));
  const slid = paths.map((path, order) => (letter) => pathRow(path, order, letter, prompt));
  const other = value === '' ? [] : [(letter) => row(Number(value), letter, prompt)];
  shown = [...fixedRows, ...slid, ...other].map((make, order) => make(letterOf(order)));
  box.replaceChildren(...shown.map(({ node }) => node));
  drawRowsOnMap();
}

function step(by) {
  const options = [...control('prompt').options];
  const at = control('prompt').selectedIndex;
  control('prompt').selectedIndex = (at + by + options.length) % options.length;
  show();
}

if (box !== null) {
  control('previous').addEventListener('click', () => step(-1));
  control('next').addEventListener('click', () => step(1));
  for (const name of ['prompt', 'all', 'other']) control(name).addEventListener('change', show);
  document.addEventListener('tempo', () => {
    for (const card of shown.flatMap(({ cards }) => cards)) if (card !== playingCard()) card.idle();
  });
  document.addEventListener('tune-hover', ({ detail }) => {
    highlightOnMap('hovered', detail);
    for (const { tune, node } of shown.flatMap(({ cards }) => cards)) node.classList.toggle('hovered', tune === detail);
  });
  document.addEventListener('tune-play', ({ detail }) => highlightOnMap('current', detail));
  document.addEventListener('show-point', ({ detail }) => {
    if (!data.shown[detail]) return;
    const known = shown.find(({ point }) => point === detail);
    if (known === undefined) {
      control('other').value = String(detail);
      show();
    }
    const target = shown.find(({ point }) => point === detail)?.node ?? box;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    target.scrollIntoView({ behavior: calm ? 'auto' : 'smooth', block: 'center' });
  });
  show();
}
