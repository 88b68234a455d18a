package main

// peakUnit is the unit in which the system tells the peak memory of a process, in bytes.
const peakUnit = 1 << 10
