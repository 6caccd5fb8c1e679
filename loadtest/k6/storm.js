// Storm: many partners register one customer, each under a spelling of its own, all at once and at all replicas. Exactly one of
// them holds it.

import http from 'k6/http';
import { load, options, arrivals, turn, any, request, answered, complain, summary } from './lib.js';

const customers = load('storm'); // each a list of registrations

const scenario = options('storm', arrivals(Number(__ENV.RATE) / customers[0].length, customers.length));
export { scenario as options };

export default function () {
  if (turn() >= customers.length) {
    return;
  }
  const filings = customers[turn()];
  const replicas = filings.map(() => any());
  const answers = http.batch(filings.map((one, i) => request(one, replicas[i]))).map((res, i) => answered(filings[i], replicas[i], res));
  const holders = answers.filter((a) => a && a.status === 'protected');
  if (holders.length !== filings[0].holders) {
    complain(filings[0], `${holders.length} of ${filings.length} partners hold one customer, and not ${filings[0].holders}: ${holders.map((a) => a.id)}`);
  }
}

export const handleSummary = summary('storm');
