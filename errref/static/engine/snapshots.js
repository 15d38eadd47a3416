// The way of a whole system through its training: the weights of every network at some steps, and what follows from
// them. `settings.stops` lists the steps, from 0 to the last. The general network is trained first, then its experts.
import { describe, judge, meanSquared, reflect } from "./reflection.js";
import { evaluate } from "./training.js";

// Train as `reflect` does; yields what it yields, and returns the system with the weights at each stop of each network.
export function* record(settings) {
  const { stops } = settings, kept = [], training = reflect(settings);
  const whole = (stages, end) => (stages?.length === stops.length - 1 ? [...stages, end] : stops.map(() => end)); // or a constant
  for (;;) {
    const { value, done } = training.next();
    if (done) return { ...value, kept: value.networks.map((weights, k) => whole(kept[k], weights)) };
    if (stops.includes(value.step)) (kept[value.network] ??= []).push(value.weights());
    yield value;
  }
}

// What each unit does on the samples between two inputs: it is "dead" or "on" on all of them, or it "bends" between.
export function unitStates(weights, first, last) {
  const H = (weights.length - 1) / 3, on = (j, x) => weights[j] * x + weights[H + j] > 0;
  return Array.from({ length: H }, (_, j) => (on(j, first) !== on(j, last) ? "bends" : on(j, first) ? "on" : "dead"));
}

// What is drawn of a record, beside the end of it: at each stop the error cases if training stopped there, the losses
// (of each network on its own samples, of the general network and of the whole system on the test points), the units.
// While experts train, the general network is at its end, as the method has it.
export function history(settings, system) {
  const { kept, routes } = system, end = describe(settings, system), { samples } = end;
  const own = kept.map((_, k) => pick(samples, (i) => !k || routes[i] === k));
  const tests = kept.map((_, k) => pick(end, (i) => end.who[i] === k));
  const squares = (weights, { x, y }) => (x.length ? x.length * meanSquared(evaluate(weights, x), y) : 0);
  const fixed = squares(system.networks[0], tests[0]);
  const ofSystem = (s) => kept.reduce((sum, stages, k) => (k ? sum + squares(stages[s], tests[k]) : sum), fixed) / end.x.length;
  const curves = {
    own: kept.map((stages, k) => stages.map((weights) => meanSquared(evaluate(weights, own[k].x), own[k].y))),
    test: kept[0].map((weights) => meanSquared(evaluate(weights, end.x), end.y)),
    system: settings.stops.map((_, s) => ofSystem(s)),
  };
  const worst = kept[0].map((weights) => judge(settings, samples.y, evaluate(weights, samples.x)));
  const isConstant = (stages) => stages[0] === stages.at(-1);
  const statesOf = (stages, { x }) => stages.map((weights) => (isConstant(stages) ? [] : unitStates(weights, x[0], x.at(-1))));
  return { ...end, kept, worst, curves, states: kept.map((stages, k) => statesOf(stages, own[k])) };
}

function pick({ x, y }, where) {
  return { x: x.filter((_, i) => where(i)), y: y.filter((_, i) => where(i)) };
}
