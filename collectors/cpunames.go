package collectors

import "strconv"

// cpuNames are the numbers of CPUs as label values, each made once.
type cpuNames []string

// maxCPUNames is above the number of CPUs that any kernel is built for.
const maxCPUNames = 1 << 14

// name is the label of CPU n.
func (c *cpuNames) name(n uint64) string {
	if n >= maxCPUNames {
		return strconv.FormatUint(n, 10)
	}
	for uint64(len(*c)) <= n {
		*c = append(*c, strconv.Itoa(len(*c)))
	}
	return (*c)[n]
}
