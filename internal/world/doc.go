// Package world is the demo world of dibs: a vendor with real organisations for accounts, and with partners, people,
// products, exchange rates, opportunities and territories that are made up around them.
//
// What is real: name, aliases, domain, country, region, city and postal code of each account, and the parents that
// are known. They come from the Research Organization Registry (ror.org, CC0) and from the employers of the H-1B data
// hub of US Citizenship and Immigration Services (public domain), chosen and cleaned by tools/world into
// accounts.tsv.gz.
//
// What is synthetic, and says nothing about the organisations: everything else. Industry is guessed from words of the
// name; employees, status, owner and which accounts are named are derived from a hash of it, or set for a few by
// hand. Partners, people, prices and opportunities are invented, and their domains end in .example. Exchange rates
// are illustrative.
//
// Everything is the same in every run: it depends on the embedded file, on constants, and on the instant given where
// dates are relative to one. Every call makes new records, which the caller owns.
package world
