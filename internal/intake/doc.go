// Package intake reads the vendor's reference data and existing registrations from CSV and NDJSON.
//
// It is made for the files people really have: Salesforce and HubSpot exports under their own headers, Excel's
// UTF-16, semicolons and tabs, quoted line breaks, 3.00E+07 for thirty million. It streams: memory is bounded by the
// longest row (MaxRow), not by the file.
//
// It never guesses where a guess could be wrong without anybody noticing: a date in day/month order, a number with a
// decimal comma, a row with a cell too few are errors of that row, which name the line and the field and leave every
// other row as it is. Only a file that cannot be understood as a whole (no header, a required column missing, a
// failing disk) is an error of the call.
//
// A row says what it gives and what it leaves alone: see Row.Present and Merge. In CSV a blank cell leaves the stored
// field as it is. In NDJSON an absent field does, and an empty one ("" or null) clears it.
package intake
