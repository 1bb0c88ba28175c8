// Values that are made when they are first wanted.
#pragma once

#include <atomic>

namespace fastnorm {

// The value, made first if it is still zero. Without a lock, which a fork could leave taken: threads that come first at
// once all make one, and the first to be stored is everybody's. What a pointer points to is never destroyed, since
// threads may be in calls while the process ends.
template <class T, class Make>
T once(std::atomic<T>& value, Make&& make) {
    T known = value.load(std::memory_order_acquire);
    if (known) return known;
    const T made = make();
    return value.compare_exchange_strong(known, made, std::memory_order_acq_rel) ? made : known;
}

}  // namespace fastnorm
