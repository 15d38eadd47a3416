// The thread that trains. It gets requests, of which only the latest counts, and answers with what there is to draw.
import { describe, meanSquared, reflect, rival, rivalWidth, target } from "./reflection.js";
import { history, record } from "./snapshots.js";
import { evaluate, even } from "./training.js";

const BREATH = 12; // milliseconds of training between two looks at the requests
const PATIENCE = 150; // a system that takes no longer is finished, even if a newer one is wanted: dragging shows steps

let wanted = null, busy = false;

self.onmessage = async ({ data }) => {
  wanted = data;
  if (busy) return;
  busy = true;
  while (wanted) {
    const request = wanted;
    wanted = null;
    try {
      await serve(request);
    } catch (error) {
      self.postMessage({ id: request.id, kind: "error", text: error.message });
    }
  }
  busy = false;
};

async function serve({ id, kind, settings, size }) {
  const trainings = { system: reflect, snapshots: record, rival };
  const training = trainings[kind](settings, size), start = performance.now();
  const patience = kind === "rival" ? 0 : PATIENCE;
  let breath = start, spent = 0;
  for (;;) {
    const { value, done } = training.next(), now = performance.now();
    if (done) return finish(id, kind, settings, size, value, spent + now - breath);
    if (now - breath < BREATH) continue;
    spent += now - breath;
    if (kind !== "rival" && now - start > PATIENCE) self.postMessage(progress(id, settings, value));
    await pause();
    if (wanted && performance.now() - start > patience) return;
    breath = performance.now();
  }
}

function finish(id, kind, settings, size, value, milliseconds) {
  const describing = { system: describe, snapshots: history }[kind];
  if (describing) return self.postMessage({ id, kind, milliseconds, ...describing(settings, value) });
  const x = even(settings.n_test), y = target(settings, x), curve = evaluate(value, x);
  const loss = meanSquared(curve, y);
  self.postMessage({ id, kind, milliseconds, x, curve, loss, width: rivalWidth(settings.hidden, size) });
}

function progress(id, settings, { network, experts, done, weights }) {
  const x = even(settings.n_test);
  return { id, kind: "progress", network, experts, done, x, curve: evaluate(weights(), x) };
}

// Lets messages in. A timer of 0 would wait for 4 milliseconds.
function pause() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
