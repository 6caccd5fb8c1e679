// Smoke: a few registrations of every kind, one after the other. Each is sent again to another replica, which must give the same
// answer, and read there, with its receipt.

import { load, options, turn, any, another, request, answered, read, complain, summary } from './lib.js';
import http from 'k6/http';

const filings = load('smoke');

const scenario = options('smoke', { executor: 'shared-iterations', vus: 1, iterations: filings.length, maxDuration: '5m' });
export { scenario as options };

export default function () {
  const one = filings[turn()];
  const here = any();
  const there = another(here);
  const first = post(one, here);
  const a = answered(one, here, first);
  if (!a) {
    return;
  }
  const again = post(one, there);
  if (again.status !== 201 || recorded(first.body) !== recorded(again.body)) {
    complain(one, `the same Idempotency-Key has two answers: ${first.body} and ${again.status} ${again.body}`);
  }
  const seen = read(`/v1/registrations/${a.id}`, there, 'GET /v1/registrations/{id}');
  if (seen.status !== 200 || seen.json().number !== a.number) {
    complain(one, `${a.id} was acknowledged, and another replica says ${seen.status} ${seen.body}`);
  }
  const receipt = read(`/v1/registrations/${a.id}/receipt`, there, 'GET /v1/registrations/{id}/receipt');
  if (receipt.status !== 200) {
    complain(one, `${a.id} has no receipt: ${receipt.status} ${receipt.body}`);
  }
}

function post(one, replica) {
  const r = request(one, replica);
  return http.post(r.url, r.body, r.params);
}

// recorded is an answer without its receipt, which proves the same in more ways as the ledger grows.
function recorded(body) {
  return body.slice(0, body.lastIndexOf(',"receipt":'));
}

export const handleSummary = summary('smoke');
