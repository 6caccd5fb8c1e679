// What every scenario shares. A scenario files the registrations of its own file, from the first on, each once, and holds each
// answer to what the file says may be answered. Each answer is also written to standard output, one line of JSON, for the judge.

import http from 'k6/http';
import exec from 'k6/execution';
import { SharedArray } from 'k6/data';
import { Counter, Rate } from 'k6/metrics';

const urls = __ENV.URLS.split(',');
const auth = { Authorization: `Bearer ${__ENV.KEY}`, 'Content-Type': 'application/json' };

export const wrong = new Counter('wrong');
export const failed = new Rate('failed');

export function load(scenario) {
  return new SharedArray(scenario, () => JSON.parse(open(`${__ENV.DATA}/${scenario}.json`)));
}

// options are those of a scenario: its executor, and its thresholds from the repository.
export function options(scenario, executor) {
  return {
    scenarios: { [scenario]: Object.assign({ gracefulStop: '30s' }, executor) },
    thresholds: JSON.parse(open(__ENV.THRESHOLDS))[scenario],
    summaryTrendStats: ['min', 'med', 'p(90)', 'p(99)', 'max', 'count'],
    batch: 1000,
    batchPerHost: 0,
    noCookiesReset: true,
    discardResponseBodies: false,
  };
}

// arrivals is an open model: so many iterations a second begin, whatever the answers take.
export function arrivals(rate, iterations) {
  return {
    executor: 'constant-arrival-rate',
    rate: Math.max(1, Math.round(rate * 60)),
    timeUnit: '1m',
    duration: `${Math.ceil((iterations / rate) * 1000)}ms`,
    preAllocatedVUs: Math.min(800, Math.max(20, Math.ceil(3 * rate))),
    maxVUs: 1000,
  };
}

// turn is the number of this iteration among all of the test, from 0 on.
export function turn() {
  return exec.scenario.iterationInTest;
}

export function any() {
  return Math.floor(Math.random() * urls.length);
}

export function another(than) {
  return (than + 1) % urls.length;
}

export function request(one, replica) {
  return {
    method: 'POST',
    url: `${urls[replica]}/v1/registrations`,
    body: one.body,
    params: { headers: Object.assign({ 'Idempotency-Key': one.key }, auth), tags: { name: 'POST /v1/registrations' } },
  };
}

export function file(one, replica) {
  const r = request(one, replica);
  return answered(one, replica, http.post(r.url, r.body, r.params));
}

export function read(path, replica, name) {
  return http.get(`${urls[replica]}${path}`, { headers: auth, tags: { name } });
}

// answered writes an answer down and holds it to what may be answered. It returns the answer, or null when there is none.
export function answered(one, replica, res) {
  const line = { case: one.case, replica, status: res.status, ms: res.timings.duration };
  const good = res.status === 201;
  failed.add(!good);
  let a = null;
  if (good) {
    a = res.json();
    line.id = a.id;
    line.sequence = a.sequence;
    line.outcome = a.decision.outcome;
    line.disposition = a.decision.route ? a.decision.route.disposition : '';
    line.reason = a.decision.reason_codes[0];
    if (!one.expect.includes(`${line.outcome}/${line.disposition}/${line.reason}`)) {
      wrong.add(1);
    }
  } else {
    line.problem = res.error || String(res.body).slice(0, 500);
  }
  console.log(JSON.stringify(line));
  return a;
}

// complain counts something wrong that is not an answer's outcome, and says it to the judge.
export function complain(one, what) {
  wrong.add(1);
  console.log(JSON.stringify({ case: one.case, complaint: what }));
}

export function summary(scenario) {
  return (data) => ({ [`${__ENV.DATA}/${scenario}.summary.json`]: JSON.stringify(data) });
}
