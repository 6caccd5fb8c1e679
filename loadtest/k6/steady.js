// Steady: registrations of every kind arrive at a constant rate, at any replica.

import { load, options, arrivals, turn, any, file, summary } from './lib.js';

const filings = load('steady');

const scenario = options('steady', arrivals(Number(__ENV.RATE), filings.length));
export { scenario as options };

export default function () {
  if (turn() < filings.length) {
    file(filings[turn()], any());
  }
}

export const handleSummary = summary('steady');
