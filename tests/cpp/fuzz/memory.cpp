#include "memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "../numbers.h"

namespace fuzz {
namespace {

// The bits of one value.
std::uint64_t element(const Format& f, Values values, std::uint64_t random) {
    const std::uint64_t infinity = ones(f.exponent) << f.mantissa;
    const std::uint64_t one = ones(f.exponent - 1) << f.mantissa;
    const std::uint64_t mantissa = random & ones(f.mantissa);
    switch (values) {
        case Values::zeros:
            return 0;
        case Values::equal:
            return one + 1;
        case Values::any_bits:
            return random;
        case Values::whole:  // 1 or 2
            return one + ((random & 1) << f.mantissa);
        case Values::extremes: {
            const std::uint64_t largest = infinity - 1, special[] = {infinity, infinity + 1, largest, mantissa, 0, one};
            if ((random >> 40) % 16 == 0)
                return special[(random >> 48) % 6] | (random >> 63) << (f.exponent + f.mantissa);
            break;
        }
        default:
            break;
    }
    const std::uint64_t sign = values == Values::positive ? 0 : random >> 63;
    const std::uint64_t exponent = ones(f.exponent - 1) - 3 + (random >> 56) % 6;  // from 1/8 to 8
    return sign << (f.exponent + f.mantissa) | exponent << f.mantissa | mantissa;
}

template <class F>
void for_each_element(const View& view, F&& f) {
    std::size_t total = count(view.shape);
    std::vector<std::size_t> index(view.shape.size(), 0);
    auto offset = static_cast<std::ptrdiff_t>(view.offset);
    for (; total > 0; --total) {
        f(static_cast<std::size_t>(offset));
        for (std::size_t i = index.size(); i-- > 0;) {
            offset += view.strides[i];
            if (++index[i] < view.shape[i]) break;
            offset -= view.strides[i] * static_cast<std::ptrdiff_t>(view.shape[i]);
            index[i] = 0;
        }
    }
}

// For those who look for what is wrong with a call: FASTNORM_FUZZ_PRINT=1 prints its arrays in the order of drawing.
void print(const View& view, const char* what, const void* data) {
    static const bool wanted = std::getenv("FASTNORM_FUZZ_PRINT") != nullptr;
    if (!wanted) return;
    std::fprintf(stderr, "%s of dtype %d in block %zu at %p, shape (", what, static_cast<int>(view.dtype), view.block,
                 data);
    for (const std::size_t length : view.shape) std::fprintf(stderr, "%zu, ", length);
    std::fprintf(stderr, view.tells_strides ? "), strides (" : "), C order (");
    for (const std::ptrdiff_t stride : view.strides) std::fprintf(stderr, "%td, ", stride);
    std::fprintf(stderr, ")\n");
}

}  // namespace

std::size_t size_of(fn::DType dtype) { return format(dtype).size; }

std::size_t count(const Shape& shape) {
    constexpr std::size_t most = std::size_t{1} << 60;
    std::size_t n = 1;
    for (const std::size_t length : shape) {
        if (length == 0) return 0;
        n = n > most / length ? most : n * length;
    }
    return n;
}

Memory::Block::Block(Elements bytes, fn::DType type, bool at_start)
    : before(std::move(bytes)), dtype(type), now(before.size(), at_start) {
    if (!before.empty()) std::memcpy(at(0), before.data(), before.size());
}

std::size_t Memory::add_block(std::size_t bytes, fn::DType dtype, Values values, std::uint64_t seed) {
    if (bytes > Elements().max_size()) throw std::bad_alloc();  // what a vector calls a wrong length
    Elements memory(bytes);
    const Format f = format(dtype);
    std::uint64_t state = seed;
    for (std::size_t i = 0; i < bytes; i += f.size) {
        const std::uint64_t random = next_random(state);
        const std::uint64_t bits = f.exponent                    ? element(f, values, random)
                                   : dtype == fn::DType::boolean ? random % 3 > 0
                                                                 : random;
        std::memcpy(&memory[i], &bits, std::min(f.size, bytes - i));  // of little-endian machines
    }
    has_extremes_ |= f.exponent && (values == Values::extremes || values == Values::any_bits);
    blocks_.emplace_back(std::move(memory), dtype, blocks_.size() % 2 == 1);
    return blocks_.size() - 1;
}

std::pair<const View*, Memory::Block*> Memory::keep(const View& view, const char* what) {
    views_.push_back(view);
    Block* block = &blocks_[view.block];
    // As another type, or from the middle of values on, they are anything.
    has_extremes_ |= view.dtype != block->dtype || view.offset % size_of(view.dtype) != 0;
    if (apart_) block = &copies_.emplace_back(block->before, block->dtype, copies_.size() % 2 == 1);
    print(view, what, block->at(view.offset));
    return {&views_.back(), block};
}

fn::Tensor Memory::input(const View& view) {
    const auto [kept, block] = keep(view, "input");
    return {block->at(kept->offset), kept->dtype, kept->shape.size(), kept->shape.data(),
            kept->tells_strides ? kept->strides.data() : nullptr};
}

fn::MutableTensor Memory::result(const View& view) {
    const auto [kept, block] = keep(view, "result");
    results_.push_back({kept, block});
    return {block->at(kept->offset), kept->dtype, kept->shape.size(), kept->shape.data(),
            kept->tells_strides ? kept->strides.data() : nullptr};
}

std::string Memory::complaint(bool failed) const {
    for (const auto* blocks : {&blocks_, &copies_}) {
        for (const Block& block : *blocks) {
            Elements expected = block.before;
            for (const Result& result : results_) {
                if (result.block != &block || failed) continue;
                for_each_element(*result.view, [&](std::size_t at) {
                    std::memcpy(&expected[at], block.at(at), size_of(result.view->dtype));
                });
            }
            for (std::size_t i = 0; i < expected.size(); ++i) {
                if (expected[i] == *block.at(i)) continue;
                return failed ? "was refused after it had written" : "has written beside its results";
            }
        }
    }
    return "";
}

std::vector<Written> Memory::results() const {
    std::vector<Written> all;
    for (const Result& result : results_) {
        const Format f = format(result.view->dtype);
        Elements& elements = all.emplace_back(Written{result.view->dtype, {}}).elements;
        for_each_element(*result.view, [&](std::size_t at) {
            std::uint64_t bits = 0;
            std::memcpy(&bits, result.block->at(at), f.size);  // of little-endian machines
            bits = with_one_nan(f, bits);
            elements.resize(elements.size() + f.size);
            std::memcpy(elements.data() + elements.size() - f.size, &bits, f.size);
        });
    }
    return all;
}

}  // namespace fuzz
