package kube

// conditionStatuses are the statuses of a condition as a label has them.
var conditionStatuses = []string{"true", "false", "unknown"}

// Status writes the status of a condition as OneOf does a state: true, false or
// unknown. A status that is written otherwise, TRUE say, is none of them.
func (l *Lines) Status(is string, values ...string) {
	switch is {
	case "True":
		is = "true"
	case "False":
		is = "false"
	case "Unknown":
		is = "unknown"
	default:
		is = ""
	}
	l.OneOf(conditionStatuses, is, values...)
}

// AddOnly writes a sample with these labels in place of the family's.
func (l *Lines) AddOnly(v float64, pairs ...pair) {
	l.open()
	for _, p := range pairs {
		l.text = appendLabel(l.text, p.name, p.value)
	}
	l.end(v)
}

// word is *p, and "" where p is nil.
func word[S ~string](p *S) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
