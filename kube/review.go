package kube

import (
	"context"
	"crypto/sha256"
	"errors"
	"sync"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
)

// Gate asks the API server who a token belongs to and whether they may see a path:
// the same question that the API server asks itself of a request to it. Answers are
// remembered for a while. It is safe for concurrent use.
type Gate struct {
	client *Client
	now    func() time.Time
	slots  chan struct{}

	mu      sync.Mutex
	answers map[question]answer
}

// What a Gate remembers and costs.
const (
	// allowedFor and refusedFor are how long answers count. Kubernetes' own programs
	// remember permissions for 5 minutes, refusals for 30 s and tokens for one minute.
	allowedFor, refusedFor = time.Minute, 10 * time.Second
	// maxAnswers bounds the answers that are remembered.
	maxAnswers = 1024
	// gateTimeout is how long the API server may take.
	gateTimeout = 10 * time.Second
	// gateSlots is how many questions are asked at once.
	gateSlots = 8
)

// Reasons why a Gate refuses.
var (
	ErrUnknownToken = errors.New("the token is not one that the API server knows")
	ErrForbidden    = errors.New("the API server does not allow it")
)

// question is who wants to do what.
type question struct {
	token [sha256.Size]byte // its sum: tokens are not kept
	verb  string
	path  string
}

// answer is what the API server said.
type answer struct {
	err   error // nil: it is allowed
	until time.Time
}

// NewGate makes a Gate.
func NewGate(c *Client) *Gate {
	return &Gate{client: c, now: time.Now, slots: make(chan struct{}, gateSlots), answers: make(map[question]answer)}
}

// Allow tells whether the owner of a token may do a verb, as "get", on a path that
// is no resource of the API. The error is ErrUnknownToken, ErrForbidden, or tells
// why the API server could not be asked.
func (g *Gate) Allow(ctx context.Context, token, verb, path string) error {
	q := question{sha256.Sum256([]byte(token)), verb, path}
	if a, known := g.remembered(q); known {
		return a.err
	}
	ctx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := g.ask(ctx, token, verb, path)
	switch {
	case err == nil:
		g.remember(q, answer{nil, g.now().Add(allowedFor)})
	case errors.Is(err, ErrUnknownToken), errors.Is(err, ErrForbidden):
		g.remember(q, answer{err, g.now().Add(refusedFor)})
	}
	return err
}

func (g *Gate) remembered(q question) (answer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a, known := g.answers[q]
	return a, known && g.now().Before(a.until)
}

// remember keeps an answer. Where there are too many, those that no longer count go,
// and if that is not enough all.
func (g *Gate) remember(q question, a answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.answers) >= maxAnswers {
		now := g.now()
		for old, said := range g.answers {
			if !now.Before(said.until) {
				delete(g.answers, old)
			}
		}
		if len(g.answers) >= maxAnswers {
			clear(g.answers)
		}
	}
	g.answers[q] = a
}

// ask asks the API server.
func (g *Gate) ask(ctx context.Context, token, verb, path string) error {
	who := authentication.TokenReview{Spec: authentication.TokenReviewSpec{Token: token}}
	who.APIVersion, who.Kind = "authentication.k8s.io/v1", "TokenReview"
	if err := g.client.create(ctx, "/apis/authentication.k8s.io/v1/tokenreviews", &who); err != nil {
		return err
	}
	if !who.Status.Authenticated {
		return ErrUnknownToken
	}
	user := who.Status.User
	extra := make(map[string]authorization.ExtraValue, len(user.Extra))
	for k, v := range user.Extra {
		extra[k] = authorization.ExtraValue(v)
	}
	may := authorization.SubjectAccessReview{Spec: authorization.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		NonResourceAttributes: &authorization.NonResourceAttributes{Verb: verb, Path: path},
	}}
	may.APIVersion, may.Kind = "authorization.k8s.io/v1", "SubjectAccessReview"
	if err := g.client.create(ctx, "/apis/authorization.k8s.io/v1/subjectaccessreviews", &may); err != nil {
		return err
	}
	if !may.Status.Allowed {
		return ErrForbidden
	}
	return nil
}
