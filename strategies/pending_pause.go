package strategies

// pause lets no batch and no write through begin until resume. still is closed when nothing is under way any more, or
// when it is resumed. It reports false if the queue is closing.
func (q *pendingQueue[K, V]) pause() (still <-chan struct{}, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing || q.stopped {
		return nil, false
	}
	if q.resumed == nil {
		q.resumed = make(chan struct{})
	}
	if q.still == nil {
		q.still = make(chan struct{})
	}
	still = q.still
	q.checkStill()
	return still, true
}

// checkStill closes still if it is time. The caller holds mu.
func (q *pendingQueue[K, V]) checkStill() {
	if q.still != nil && q.flights+q.through == 0 {
		close(q.still)
		q.still = nil
	}
}

// goOn ends a pause.
func (q *pendingQueue[K, V]) goOn() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.resume()
	q.signal()
}

// resume ends a pause. The caller holds mu.
func (q *pendingQueue[K, V]) resume() {
	if q.resumed != nil {
		close(q.resumed)
		q.resumed = nil
	}
	if q.still != nil {
		close(q.still)
		q.still = nil
	}
}

// paused reports whether there is a pause.
func (q *pendingQueue[K, V]) paused() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.resumed != nil
}

// beginThrough begins a write through to the source, for which endThrough is to be called. During a pause it does not begin,
// and resumed is closed at its end.
func (q *pendingQueue[K, V]) beginThrough() (resumed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.resumed == nil {
		q.through++
	}
	return q.resumed
}

func (q *pendingQueue[K, V]) endThrough() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.through--
	q.checkStill()
}
