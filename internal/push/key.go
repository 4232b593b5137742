package push

// Grouping keys: the job and further labels that a path names, such as
// /job/backup/instance/db1 and /job@base64/L3Zhcg/path@base64/L3RtcA.

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// base64Suffix of a name says that its value is in base64 for URLs (RFC 4648,
// section 5), padded or not.
const base64Suffix = "@base64"

// parseKey reads what stands behind /metrics in the path of a push.
func parseKey(path string, scheme model.ValidationScheme) (map[string]string, error) {
	rest, found := strings.CutPrefix(path, "/job")
	rest, encoded := strings.CutPrefix(rest, base64Suffix)
	rest, slash := strings.CutPrefix(rest, "/")
	if !found || !slash {
		return nil, errNoJob
	}
	job, rest, more := strings.Cut(rest, "/")
	if encoded {
		plain, err := decode(job)
		if err != nil {
			return nil, fmt.Errorf("invalid base64 encoding in job name %q: %w", job, err)
		}
		job = plain
	}
	if !utf8.ValidString(job) {
		return nil, fmt.Errorf("the job name is not UTF-8: %q", job)
	}
	labels := make(map[string]string)
	if more && rest != "" {
		if err := parseLabels(rest, scheme, labels); err != nil {
			return nil, err
		}
	}
	if job == "" {
		return nil, errNoJob
	}
	labels[model.JobLabel] = job
	return labels, nil
}

var errNoJob = errors.New("job name is required")

// parseLabels reads NAME/VALUE/NAME/VALUE…; of two values for a name the last
// counts.
func parseLabels(text string, scheme model.ValidationScheme, labels map[string]string) error {
	parts := strings.Split(text, "/")
	if len(parts)%2 != 0 {
		return fmt.Errorf("odd number of components in label string %q", "/"+text)
	}
	for i := 0; i < len(parts); i += 2 {
		name, encoded := strings.CutSuffix(parts[i], base64Suffix)
		value := parts[i+1]
		label := name
		if scheme == model.UTF8Validation {
			// The "U__" notation, in which any name fits into a path.
			label = model.UnescapeName(name, model.ValueEncodingEscaping)
		}
		if !scheme.IsValidLabelName(label) || strings.HasPrefix(name, model.ReservedLabelPrefix) || strings.HasPrefix(label, model.ReservedLabelPrefix) {
			return fmt.Errorf("improper label name %q", name)
		}
		if encoded {
			plain, err := decode(value)
			if err != nil {
				return fmt.Errorf("invalid base64 encoding for label %s=%q: %w", name, value, err)
			}
			value = plain
		}
		if !utf8.ValidString(value) {
			return fmt.Errorf("the value of label %s is not UTF-8: %q", name, value)
		}
		labels[label] = value
	}
	return nil
}

func decode(s string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	return string(b), err
}
