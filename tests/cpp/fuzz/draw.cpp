// Shapes, strides, memory and values.
#include "draw.h"

#include <algorithm>
#include <numeric>

namespace fuzz {
namespace {

using fn::DType;

constexpr DType kData[] = {DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr DType kAny[] = {DType::f16, DType::bf16, DType::f32,   DType::f64,     DType::boolean, DType::i8,
                          DType::u8,  DType::i32,  DType::other, DType::swapped, DType::none};
constexpr std::size_t kLengths[] = {2,  3,  1,  4,   5,  8, 7,   9,   16,  15,  17,  32,   33,   31,   64,   65,
                                    63, 40, 96, 100, 12, 6, 128, 129, 257, 500, 513, 1024, 1500, 2049, 4097, 9000};
constexpr std::size_t kDimensions[] = {2, 1, 3, 4, 2, 3, 5, 0};
// As a rule a call is small. It takes 128 KB for a second thread to come in.
constexpr std::size_t kSmall = 2000, kLarge = 100000;

// Beside an axis of length zero, one may be of any length. What goes with it may need more memory than there is, of
// which AddressSanitizer does not throw, but ends the process.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FASTNORM_FUZZ_ADDRESS
#endif
#endif
#if defined(FASTNORM_FUZZ_ADDRESS) || defined(__SANITIZE_ADDRESS__)
constexpr bool kHasHuge = false;
#else
constexpr bool kHasHuge = true;
#endif

// In numbers that may overflow, as those of empty arrays do.
std::ptrdiff_t times(std::ptrdiff_t a, std::size_t b) {
    return static_cast<std::ptrdiff_t>(static_cast<std::size_t>(a) * b);
}

}  // namespace

Draw::Draw(Bytes given, bool apart) : bytes(given), memory(apart) {
    dtype_ = out_dtype_ = bytes.pick(kData);
    has_maker_ = bytes.chance(64);
    shape_ = draw_shape();
}

Shape Draw::draw_shape() {
    std::size_t most = bytes.chance(16) ? kLarge : kSmall;
    Shape shape(bytes.chance(2) ? 60 + bytes.below(8) : bytes.pick(kDimensions), 1);
    if (shape.size() > 5) most = kSmall;
    for (std::size_t& length : shape) {
        length = shape.size() > 5 && !bytes.chance(16) ? 1 : std::min(bytes.pick(kLengths), most);
        most = std::max<std::size_t>(most / length, 1);
    }
    if (!shape.empty() && bytes.chance(6)) {
        shape[bytes.below(shape.size())] = 0;
        std::size_t& other = shape[bytes.below(shape.size())];
        if (kHasHuge && other != 0 && bytes.chance(32)) {
            std::size_t beside = 1;
            for (const std::size_t length : shape) beside *= std::max<std::size_t>(length, 1);
            other = (std::size_t{1} << (bytes.chance(128) ? 62 : 50)) / beside;
            is_huge = true;
        }
    }
    return shape;
}

Values Draw::draw_values() {
    constexpr Values kinds[] = {Values::numbers,  Values::numbers, Values::positive, Values::extremes,
                                Values::any_bits, Values::equal,   Values::zeros,    Values::numbers};
    return bytes.pick(kinds);
}

void Draw::spoil(Shape& shape, DType& dtype) {
    if (!bytes.chance(3)) return;
    const std::size_t n = shape.size(), at = n ? bytes.below(n) : 0;
    switch (bytes.below(6)) {
        case 0:
            dtype = bytes.pick(kAny);
            break;
        case 1:
            shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at), 1);
            break;
        case 2:
            shape.resize(60 + bytes.below(8), 1);
            break;
        case 3:
            if (n) shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(at));
            break;
        case 4:
            if (n) shape[at] = 1;
            break;
        default:
            if (n) ++shape[at];
    }
}

// One axis after the other in any order, with gaps between, in either direction; or strides that are any numbers,
// which `any_of_256` says how often.
void Draw::draw_strides(View& view, unsigned any_of_256) {
    const std::size_t n = view.shape.size();
    const auto size = static_cast<std::ptrdiff_t>(size_of(view.dtype));
    std::vector<std::size_t> order(n);
    std::iota(order.rbegin(), order.rend(), std::size_t{0});  // the last axis first
    const std::size_t kind = bytes.below(8);
    view.tells_strides = kind != 0;
    for (std::size_t i = n; kind >= 3 && i-- > 1;) std::swap(order[i], order[bytes.below(i + 1)]);
    const bool has_gaps = kind >= 5, any = kind == 7 && bytes.chance(any_of_256);
    std::ptrdiff_t step = size;
    for (const std::size_t axis : order) {
        std::ptrdiff_t& stride = view.strides[axis];
        stride = step;
        if (has_gaps && bytes.chance(64)) stride = times(step, 1 + bytes.below(3));
        if (any) stride = size * static_cast<std::ptrdiff_t>(bytes.below(8));
        if (any && bytes.chance(32)) stride = static_cast<std::ptrdiff_t>(bytes.below(64));
        if (view.shape[axis] > 1) step = times(stride, view.shape[axis]);
        if (kind >= 4 && bytes.chance(64)) stride = -stride;
    }
}

void Draw::place(View& view, Values values, bool may_share) {
    std::ptrdiff_t before = 0;
    std::size_t need = count(view.shape) == 0 ? 0 : size_of(view.dtype);
    for (std::size_t i = 0; need > 0 && i < view.shape.size(); ++i) {
        const std::ptrdiff_t way = times(view.strides[i], view.shape[i] - 1);
        before -= std::min<std::ptrdiff_t>(way, 0);
        need += static_cast<std::size_t>(std::abs(way));
    }
    if (may_share && memory.block_count() > 0 && bytes.chance(16)) {
        view.block = bytes.below(memory.block_count());
        const std::size_t there = memory.block_bytes(view.block);
        if (there >= need) {
            const std::size_t spare = there - need, size = bytes.chance(32) ? 1 : size_of(view.dtype);
            view.offset = static_cast<std::size_t>(before) + bytes.below(spare / size + 1) * size;
            return;
        }
    }
    const std::size_t shift = bytes.chance(8);  // off the alignment
    view.block = memory.add_block(need + shift, view.dtype, values, bytes.byte());
    view.offset = static_cast<std::size_t>(before) + shift;
}

View Draw::lay_out(const Shape& shape, DType dtype, Values values, bool is_result) {
    View view{dtype, shape, Strides(shape.size())};
    if (bytes.chance(is_result ? 24 : 8)) {  // the memory of another one
        for (const View& other : memory.views()) {
            if (other.shape == shape && other.dtype == dtype) return other;
        }
    }
    draw_strides(view, is_result ? 32 : 256);
    // Along an axis that a whole array would not fit into memory with, there is one element.
    for (std::size_t i = 0; count(shape) > 8 * kLarge && i < shape.size(); ++i) {
        view.tells_strides = true;
        if (shape[i] > kLarge) is_huge = true, view.strides[i] = 0;
    }
    if (count(shape) > 8 * kLarge && !is_huge) std::fill(view.strides.begin(), view.strides.end(), 0);
    place(view, values, true);
    return view;
}

fn::Tensor Draw::input(Shape shape, DType dtype, Values values) {
    spoil(shape, dtype);
    if (dtype == DType::none) return {};
    fn::Tensor tensor = memory.input(lay_out(shape, dtype, values, false));
    if (dtype == DType::other && bytes.chance(128)) tensor.dtype_name = "int64";
    return tensor;
}

fn::MutableTensor Draw::result(Shape shape, DType dtype) {
    spoil(shape, dtype);
    if (dtype == DType::none) return {};
    return memory.result(lay_out(shape, dtype, Values::numbers, true));
}

fn::MutableTensor Draw::make(std::size_t, DType dtype, std::size_t ndim, const std::size_t* shape, const fn::Tensor&,
                             const fn::Tensor&) {
    View view{dtype, Shape(shape, shape + ndim), Strides(ndim)};
    if (count(view.shape) > 8 * kLarge) throw std::bad_alloc();
    draw_strides(view, 0);  // who makes a result has a place for each element
    place(view, Values::numbers, false);
    return memory.result(view);
}

}  // namespace fuzz
