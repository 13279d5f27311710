package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/evercert/evercert/e2e/stack"
)

// clockTick is the unit of /proc/PID/stat on Linux (proc(5), USER_HZ).
const clockTick = 10 * time.Millisecond

// cpuOfParts is the processor time that each part has used, its children included. Where there is no /proc it is empty.
func cpuOfParts(s *stack.Stack) map[string]time.Duration {
	used, parent := map[int]time.Duration{}, map[int]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is well-formed
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // the process has ended
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		parent[pid], _ = strconv.Atoi(fields[1])
		for _, i := range []int{11, 12, 13, 14} { // utime, stime, and those of children that have ended
			ticks, _ := strconv.Atoi(fields[i])
			used[pid] += time.Duration(ticks) * clockTick
		}
	}
	parts := map[string]time.Duration{}
	for part, root := range s.Info().PIDs {
		for pid := range used {
			if pid == root || parent[pid] == root {
				parts[part] += used[pid]
			}
		}
	}
	return parts
}

func printCPU(before, after map[string]time.Duration, n int) {
	if len(after) == 0 {
		return
	}
	fmt.Print("processor time for each domain:")
	var sum time.Duration
	for _, part := range slices.Sorted(maps.Keys(after)) {
		d := (after[part] - before[part]) / time.Duration(n)
		sum += d
		fmt.Printf("  %s %.1f ms", part, float64(d)/1e6)
	}
	fmt.Printf("  in all %.1f ms\n", float64(sum)/1e6)
}
