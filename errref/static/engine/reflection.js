// Error reflection on a line, as `errref.reflection.ErrorReflectionRegressor` does it with networks of
// `errref.networks.ReluRegressor`, `errref.isodata.Isodata` and a gate of one nearest neighbour. The names in `settings`
// are those of the widget in Python. Training is a generator, so that whoever runs it can pause, show, or give up.
import { isodata } from "./isodata.js";
import { spawnedSeed } from "./random.js";
import { Trainer, evaluate, even, prepare, schedule, startingWeights } from "./training.js";

const PORTION = 20000; // steps times units between two pauses, about a millisecond

// Values of the target at x: the drawn one between its evenly spaced knots, or a polynomial on each side of 0.
export function target({ pieces, drawn }, x) {
  if (!pieces) return Float64Array.from(x, (value) => interpolate(drawn, value));
  return Float64Array.from(x, (value) => polynomial(pieces[value < 0 ? 0 : 1], value));
}

function interpolate(heights, x) {
  const last = heights.length - 1, width = 2 / last, k = Math.min(Math.floor((x + 1) / width), last - 1);
  return ((heights[k + 1] - heights[k]) / width) * (x - (k * width - 1)) + heights[k];
}

function polynomial(coefficients, x) {
  return coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
}

export function meanSquared(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return sum / a.length;
}

// How every network of a system is trained; `stops` are steps at which one wants to look at it.
function planOf({ steps, learning_rate, stops = [] }) {
  return { ...schedule(steps, learning_rate), stops };
}

// Train one network; yields its weights and how far it is, at every stop but the end and between, and returns its weights.
export function* trainNetwork(x, y, plan, hidden, seed) {
  const trainer = new Trainer(prepare(x, y), startingWeights(hidden, seed), plan);
  while (trainer.step < plan.steps) {
    const { step } = trainer, stop = plan.stops.find((later) => later > step) ?? plan.steps;
    yield { step, done: step / plan.steps, weights: () => trainer.weights() };
    trainer.run(Math.min(Math.ceil(PORTION / hidden), stop - step));
  }
  const weights = trainer.weights();
  if (!weights.every(Number.isFinite)) throw new Error("Training diverged; lower the learning rate.");
  return weights;
}

// The whole system; yields its state while the networks train, and returns it.
export function* reflect(settings) {
  const x = even(settings.n_samples), y = target(settings, x), { hidden, seed } = settings;
  const plan = planOf(settings);
  const general = yield* part(0, trainNetwork(x, y, plan, hidden, seed));
  const errors = judge(settings, y, evaluate(general, x));
  const wrong = [...x.keys()].filter((i) => errors[i]);
  const { labels, clustering } = cluster(settings, wrong.map((i) => [x[i]]));
  const count = wrong.length ? Math.max(...labels) + 1 : 0, experts = [];
  const routes = new Int32Array(x.length); // what the gate learns: 0, or the expert
  wrong.forEach((i, k) => (routes[i] = 1 + labels[k]));
  for (let k = 1; k <= count; k++) {
    const mine = [...x.keys()].filter((i) => routes[i] === k), ys = mine.map((i) => y[i]);
    experts.push(yield* part(k, trainExpert(mine.map((i) => x[i]), ys, plan, hidden, spawnedSeed(seed, 1 + k)), count));
  }
  return { networks: [general, ...experts], errors, labels, routes, clustering };
}

// What a generator yields, with the number of the network that is trained, and how many experts there will be.
function* part(network, training, experts = null) {
  for (;;) {
    const { value, done } = training.next();
    if (done) return value;
    yield { network, experts, ...value };
  }
}

// An expert is a constant where its targets are all the same, or where it cannot be trained.
function* trainExpert(x, y, plan, hidden, seed) {
  const constant = Float64Array.of(0, 0, 0, y.reduce((sum, value) => sum + value, 0) / y.length);
  if (y.every((value) => value === y[0])) return constant;
  try {
    return yield* trainNetwork(x, y, plan, hidden, seed);
  } catch {
    return constant;
  }
}

// The mask of the error cases: the worst share, or residuals above a multiple of their root mean square.
export function judge({ rule, share, factor }, y, prediction) {
  const residuals = Array.from(y, (value, i) => Math.abs(value - prediction[i])), n = residuals.length;
  if (rule === "rms") {
    const limit = factor * Math.sqrt(meanSquared(y, prediction));
    return residuals.map((residual) => residual > limit);
  }
  const wanted = Math.round(share * n) - (share * n % 2 === 0.5 ? 1 : 0); // a half to even, as Python rounds
  const threshold = Float64Array.from(residuals).sort().at(-Math.max(1, wanted));
  return residuals.map((residual) => residual >= threshold && residual > 0);
}

// Cluster the error cases; too few of them are one cluster.
function cluster(settings, points) {
  if (points.length < Math.max(2, settings.n_clusters)) return { labels: points.map(() => 0), clustering: null };
  const { n_clusters, min_samples, max_std, min_distance, seed } = settings;
  const random_state = spawnedSeed(seed, 0);
  const clustering = isodata(points, { n_clusters, min_samples, max_std, min_distance, random_state });
  const names = [...new Set(clustering.labels)].sort((a, b) => a - b);
  return { labels: clustering.labels.map((label) => names.indexOf(label)), clustering };
}

// Which network answers at each of x: the one that the gate learnt for the nearest sample.
export function route({ routes }, x) {
  const n = routes.length;
  return Int32Array.from(x, (value) => routes[Math.min(Math.max(Math.floor(((value + 1) * n) / 2), 0), n - 1)]);
}

// What is drawn of a system: the answers of every network and of the whole on the line, and the losses there.
export function describe(settings, { networks, errors, labels, routes, clustering }) {
  const x = even(settings.n_test), y = target(settings, x), who = route({ routes }, x);
  const each = networks.map((weights) => evaluate(weights, x)), answer = who.map(() => 0);
  const system = Float64Array.from(answer, (_, i) => each[who[i]][i]);
  const losses = { general: meanSquared(each[0], y), reflection: meanSquared(system, y) };
  const centers = clustering ? clustering.centers.map(([center]) => center) : [];
  const at = even(settings.n_samples), samples = { x: at, y: target(settings, at), errors, routes };
  const kind = { size: networks.length, hidden: settings.hidden, drawn: settings.function === "drawn" };
  return { x, y, each, system, who, losses, samples, labels, centers, ...kind };
}

// One network with at most as many trained numbers as all of a system, and at most 2 fewer, trained for as many steps as
// each of its parts.
export function* rival(settings, size) {
  const x = even(settings.n_samples), plan = planOf(settings);
  return yield* part(0, trainNetwork(x, target(settings, x), plan, rivalWidth(settings.hidden, size), settings.seed));
}

export function rivalWidth(hidden, size) {
  return Math.floor((size * (3 * hidden + 1) - 1) / 3);
}
