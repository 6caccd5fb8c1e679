// Package policy is the rules of engagement as data: the document people write, its static check, and its
// evaluation.
//
// A policy is a YAML document of settings, parameters, reasons and rules. A rule's condition is a CEL expression
// over facts: closed, flat and typed (see Schema), worked out by the engine before any rule runs. Relations are
// facts (conflict.held_by_other.found), never identifiers to compare, so a condition can neither look anything up
// nor leak whom it is about.
//
// What the package promises:
//
//   - Compile accepts a document whole or reports everything wrong with it, with line, column and path. A misspelt
//     fact, a value outside a closed list, a reason nobody declared, a cycle of overrides and a partner text that
//     would reveal an internal fact are all errors here, not surprises later.
//   - Decide is a pure function of the policy, the facts and the instant: no I/O, no clock, no randomness, no state.
//   - Every rule in force is evaluated, whatever the others say. Of those that fired and were not overridden the
//     strongest by the declared precedence decides; of equals, the one written first.
//   - A rule that errs, and a case no rule speaks of, escalate to a person. Neither ever protects.
//   - Conditions have no loops, no regular expressions and no calls: their cost is bounded by their length.
//
// That a scope has one holder is not left to a policy alone: the engine refuses to grant an exclusive protection
// over a live overlapping claim, whatever the policy says.
package policy
