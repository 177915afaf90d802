// One tune: its roll, what it amounts to, and the button that plays it.

const { data, element, extentOf, fixed, pianoRoll, player } = globalThis.cfgdistill;

const tempo = document.getElementById('gallery-tempo');
const beats = document.getElementById('gallery-beats');

/** What plays: `{ card, from }`; null for nothing. */
let current = null;

/** `0:07` */
function clock(seconds) {
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

function ticksPerSecond(extent) {
  return (Number(tempo.value) / 60) * extent.beat;
}

function badge(letter, family) {
  return element('span', { className: 'letter', 'data-family': family, 'aria-hidden': 'true' }, letter);
}

/**
 * The card of a tune. Events 'tune-hover' and 'tune-play' tell the map.
 *
 * @param letter of its row
 */
function tuneCard(tune, letter) {
  const extent = extentOf(tune.prompt);
  const { name } = data.points[tune.point];
  const number = tune.sample + 1;
  const title = `tune ${number} of ${name}`;
  const button = element('button', { type: 'button', className: 'play', 'aria-pressed': 'false' });
  const roll = pianoRoll(tune, extent);
  const time = element('span', { className: 'time', title: `${tune.measures} bars` });
  const mark = tune.valid ? 'valid' : 'not valid';
  const judged = element('span', { className: `judged ${tune.valid ? 'valid' : 'invalid'}` }, tune.valid ? '✓' : '✗');
  judged.append(` ${mark}`);
  const node = element(
    'div',
    { className: 'tune', role: 'group' },
    element(
      'div',
      { className: 'tune-head' },
      button,
      element('b', {}, `${letter}${number}`),
      element('span', { className: 'adherence' }, `${data.quality} `, element('b', {}, fixed(tune.quality))),
      judged,
      time,
    ),
    roll.box,
  );
  node.setAttribute('aria-label', `${title}: ${data.quality} ${fixed(tune.quality)}, ${mark}`);
  const card = { tune, node, extent, stop: () => card === current?.card && player.stop() };

  const duration = () => tune.ticks / ticksPerSecond(extent);
  card.idle = () => {
    node.classList.remove('playing');
    button.setAttribute('aria-pressed', 'false');
    button.setAttribute('aria-label', `Play ${title}`);
    button.textContent = '▶';
    time.textContent = clock(duration());
    roll.show(null);
  };
  card.play = (from = 0) => {
    player.play(tune, {
      from,
      ticksPerSecond: ticksPerSecond(extent),
      onPosition: (ticks) => {
        roll.show(ticks);
        time.textContent = clock(ticks / ticksPerSecond(extent));
      },
      onEnd: () => {
        current = null;
        card.idle();
        document.dispatchEvent(new CustomEvent('tune-play', { detail: null }));
      },
    });
    current = { card };
    node.classList.add('playing');
    button.setAttribute('aria-pressed', 'true');
    button.setAttribute('aria-label', `Stop ${title}`);
    button.textContent = '■';
    roll.show(from);
    document.dispatchEvent(new CustomEvent('tune-play', { detail: tune }));
  };
  card.idle();

  if (player.available && tune.notes.length > 0) {
    button.addEventListener('click', () => (current?.card === card ? player.stop() : card.play()));
    roll.box.addEventListener('click', (event) => {
      const ticks = roll.ticksAt(event);
      if (ticks !== null) card.play(ticks);
    });
    roll.box.classList.add('playable');
  } else button.disabled = true;
  const hover = (detail) => () => document.dispatchEvent(new CustomEvent('tune-hover', { detail }));
  node.addEventListener('pointerenter', hover(tune));
  node.addEventListener('pointerleave', hover(null));
  return card;
}

/** The card that plays. */
function playingCard() {
  return current?.card ?? null;
}

if (tempo !== null) {
  tempo.addEventListener('input', () => {
    beats.textContent = `${tempo.value} beats a minute`;
    document.dispatchEvent(new CustomEvent('tempo'));
    const card = playingCard();
    if (card !== null) card.play(player.position());
  });
  document.addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') player.stop();
  });
}

Object.assign(globalThis.cfgdistill, { tuneCard, badge, playingCard });
