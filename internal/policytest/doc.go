// Package policytest runs the tests of a policy, which its author writes beside the rules: the section tests of the
// document.
//
// There are two kinds of case. One gives facts and asks what the rules say to them: for tables, and for the two sides
// of a number. The other files registrations and lets time pass in a world of partners, accounts and opportunities,
// through the same engine that serves, on a database of its own with a clock that is set by hand.
//
// A case that needs something the service cannot do yet is marked pending with the reason. It is read and checked like
// the others and always listed. One that could run is run: when it passes, the mark is out of date, which fails.
package policytest
