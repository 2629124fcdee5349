// Package proof attacks the whole program: its tests start the real binary as a process, kill it, cut its power, fill its disk and
// damage its ledger, and hold what the importer and Askara got against the promises. The code that does so is in its tests.
//
// A plain go test runs each attack briefly. With ASKARA_SYNC_PROOFS=1 the attacks have their full length, and what this machine
// lacks for one of them (root, loop devices) is a failure instead of a skip. Flags set single numbers: -kills, -faultkills, -cuts.
package proof
