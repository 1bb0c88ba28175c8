// The arrays of one call: blocks of exactly as many bytes as they need, and what has become of every byte in them.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "bytes.h"
#include "fastnorm/operations.h"
#include "pages.h"

namespace fuzz {

namespace fn = fastnorm;
using Shape = std::vector<std::size_t>;
using Strides = std::vector<std::ptrdiff_t>;
using Elements = std::vector<std::uint8_t>;
// The elements of a result in C order.
struct Written {
    fn::DType dtype;
    Elements elements;
    bool operator==(const Written& other) const { return elements == other.elements; }
};

std::size_t size_of(fn::DType dtype);
// At most 2^60, whatever the lengths.
std::size_t count(const Shape& shape);

// Elements in a block, which begins `offset` bytes before the first of them.
struct View {
    fn::DType dtype;
    Shape shape;
    Strides strides;
    std::size_t block = 0, offset = 0;
    bool tells_strides = true;  // else they are those of C order
};

// What the values of a new block are like.
enum class Values : std::uint8_t { numbers, positive, whole, equal, zeros, extremes, any_bits };

class Memory {
public:
    // With `apart` every array gets a copy of its block for itself.
    explicit Memory(bool apart) : apart_(apart) {}

    // What the values are depends on a seed, and every second block begins behind a guard page.
    std::size_t add_block(std::size_t bytes, fn::DType dtype, Values values, std::uint64_t seed);
    std::size_t block_count() const { return blocks_.size(); }
    std::size_t block_bytes(std::size_t block) const { return blocks_[block].before.size(); }
    const std::deque<View>& views() const { return views_; }

    fn::Tensor input(const View& view);
    fn::MutableTensor result(const View& view);

    // What is wrong with the bytes after a call, or nothing: after one that failed none may have changed, else only
    // those of results.
    std::string complaint(bool failed) const;
    std::vector<Written> results() const;
    // Whether there may be more than numbers around one in it.
    bool has_extremes() const { return has_extremes_; }

private:
    struct Block {
        Block(Elements bytes, fn::DType dtype, bool at_start);
        std::uint8_t* at(std::size_t offset) const { return now.get() + offset; }
        Elements before;
        fn::DType dtype;  // of the values that it was filled with
        Pages now;
    };
    struct Result {
        const View* view;
        const Block* block;
    };
    // The view, kept, and the block that it lies in.
    std::pair<const View*, Block*> keep(const View& view, const char* what);

    bool apart_, has_extremes_ = false;
    std::deque<Block> blocks_, copies_;
    std::deque<View> views_;
    std::vector<Result> results_;
};

}  // namespace fuzz
