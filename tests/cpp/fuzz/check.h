// What must hold for every call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fuzz {

enum class Outcome { result, refused };

// Makes the call that the bytes stand for: with one thread, with two, and with arrays that share no memory. It is
// refused with an Error, before anything is written, or writes the elements of its results alone, the same bits each
// time. Aborts if not.
Outcome check(const std::uint8_t* data, std::size_t size);

}  // namespace fuzz
