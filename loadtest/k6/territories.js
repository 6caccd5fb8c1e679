// Territories: a customer inside each territory of the plan, on both sides of every boundary, and with each thing unknown; which
// territory was found is read from the decision on another replica and compared with what a plain scan of the plan finds.

import { load, options, arrivals, turn, any, another, file, read, complain, summary } from './lib.js';

const filings = load('territories');

const scenario = options('territories', arrivals(Number(__ENV.RATE), filings.length));
export { scenario as options };

export default function () {
  if (turn() >= filings.length) {
    return;
  }
  const one = filings[turn()];
  const here = any();
  const a = file(one, here);
  if (!a) {
    return;
  }
  const why = read(`/v1/registrations/${a.id}/decision`, another(here), 'GET /v1/registrations/{id}/decision');
  if (why.status !== 200) {
    complain(one, `the decision on ${a.id} cannot be read: ${why.status} ${why.body}`);
    return;
  }
  const list = why.json().decisions;
  const t = list[list.length - 1].territory;
  const is = `${t.status} ${t.id || ''} ${t.coverage}`;
  if (is !== one.territory) {
    complain(one, `the territory of ${one.shows} is "${is}", and a plain scan of the plan finds "${one.territory}"`);
  }
}

export const handleSummary = summary('territories');
