// Package output is all that the program prints while a run goes on, in every way in which it can
// be asked for. What ends the program, with its hint, is printed by the program itself.
//
// # Text
//
//   - Lines of what was done go to stdout as aws prints them, and nothing else does but progress.
//     Nothing to do prints nothing there.
//   - Failures, warnings, notes and the closing summary go to stderr.
//   - Each line is one write, made at once. The names in lines are as they are, but on a terminal
//     and in the log, where control characters, marks that turn the direction of text, and bytes
//     that are not UTF-8 are shown as escapes such as \x1b: a name cannot drive the terminal, nor
//     make up a line of the log.
//
// What is told at which [Level]:
//
//	                          All  Lines  Troubles  Nothing
//	progress                   x
//	lines of what was done     x     x
//	notes, reasons, summary    x     x
//	lines of a dry run         x     x       x
//	warnings and failures      x     x       x
//
// # Progress
//
// A terminal has a line at its bottom that is drawn again all the time, and wiped away at the end.
// Elsewhere there is no progress unless it is asked for; then it is told in the words of aws, in
// lines that end in a carriage return, which the line that follows covers with blanks, or in lines
// of their own. There is none in a dry run, in which nothing moves.
//
// # JSON
//
// With Options.JSON, all of this but progress goes to stdout as one JSON object a line, and stderr
// stays empty. The summary is the last. The levels are the same, only that the summary is told at
// Troubles too: it is how a reader knows that nothing is missing. See the type object for the fields.
//
// # Log
//
// Whatever is told elsewhere, a log has all that is told at the level Lines, as text, with the
// local time before each line, the summary, a line for the beginning and one for the end. So a job
// that runs at night needs no script around it.
package output
