#include "check.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "draw.h"

namespace fuzz {
namespace {

double to_double(fn::DType dtype, const std::uint8_t* from) {
    const auto read = [from](auto value) {
        std::memcpy(&value, from, sizeof value);
        return value;
    };
    switch (dtype) {
        case fn::DType::f64:
            return read(double());
        case fn::DType::f32:
            return read(float());
        case fn::DType::i32:
            return read(std::int32_t());
        case fn::DType::i8:
            return read(std::int8_t());
        case fn::DType::f16: {
            const unsigned bits = read(std::uint16_t()), exponent = bits >> 10 & 31, mantissa = bits & 1023;
            const double value = exponent == 31
                                     ? (mantissa ? NAN : INFINITY)
                                     : std::ldexp(exponent ? 1024 + mantissa : mantissa, std::max(exponent, 1u) - 25);
            return bits >> 15 ? -value : value;
        }
        case fn::DType::bf16: {
            const std::uint32_t bits = std::uint32_t{read(std::uint16_t())} << 16;
            float value;
            std::memcpy(&value, &bits, sizeof value);
            return value;
        }
        default:
            return *from;
    }
}

// Whether two results are the same but for rounding, which the largest values give the measure for.
bool are_near(const Written& a, const Written& b) {
    const std::size_t size = size_of(a.dtype);
    const double unit = size == 1 || a.dtype == fn::DType::i32 ? 1 : size == 2 ? 0x1p-6 : 1e-4;
    double largest = 1;
    for (const Elements* each : {&a.elements, &b.elements}) {
        for (std::size_t i = 0; i < each->size() && size > 1; i += size) {
            const double value = std::fabs(to_double(a.dtype, each->data() + i));
            if (std::isfinite(value)) largest = std::max(largest, value);
        }
    }
    for (std::size_t i = 0; i < a.elements.size(); i += size) {
        const double x = to_double(a.dtype, &a.elements[i]), y = to_double(b.dtype, &b.elements[i]);
        const bool same = x == y || (std::isnan(x) && std::isnan(y)) || std::fabs(x - y) <= unit * largest;
        if (!same) {
            std::fprintf(stderr, "fuzz: element %zu: %.17g, apart %.17g\n", i / size, x, y);
            return false;
        }
    }
    return true;
}

bool are_near(const std::vector<Written>& a, const std::vector<Written>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!are_near(a[i], b[i])) return false;
    }
    return true;
}

struct Run {
    std::string name, error;
    std::vector<Written> results;
    bool no_memory = false, has_extremes = false;
};

[[noreturn]] void fail(const std::string& name, const std::string& what) {
    std::fprintf(stderr, "fuzz: %s %s\n", name.c_str(), what.c_str());
    std::abort();
}

Run run(Bytes bytes, int threads, bool apart) {
    Run run;
    const auto targets = fn::simd_targets();
    fn::set_simd_target(targets[bytes.below(targets.size())]);
    const Operation& operation = operations()[bytes.below(operations().size())];
    run.name = operation.name;
    Draw draw(bytes, apart);
    fn::set_local_num_threads(threads);
    try {
        operation.call(draw);
    } catch (const fn::Error& error) {
        run.error = error.what();
        if (run.error.empty()) fail(run.name, "was refused without a word");
    } catch (const std::bad_alloc&) {
        run.no_memory = true;
        if (!draw.is_huge) fail(run.name, "needs too much memory");
    } catch (const std::exception& error) {
        fail(run.name, std::string("was refused by something else than an Error: ") + error.what());
    }
    const bool failed = run.no_memory || !run.error.empty();
    const std::string complaint = draw.memory.complaint(failed);
    if (!complaint.empty()) fail(run.name, complaint + (run.error.empty() ? "" : ": " + run.error));
    if (!failed) run.results = draw.memory.results();
    run.has_extremes = draw.memory.has_extremes();
    return run;
}

}  // namespace

Outcome check(const std::uint8_t* data, std::size_t size) {
    const Bytes bytes(data, size);
    const Run one = run(bytes, 1, false), two = run(bytes, 2, false);
    if (one.error != two.error) fail(one.name, "with two threads: " + two.error + "; with one: " + one.error);
    if (one.no_memory || two.no_memory || !one.error.empty()) return Outcome::refused;
    if (one.results != two.results) fail(one.name, "has other results with two threads");
    const Run apart = run(bytes, 1, true);
    if (!apart.error.empty()) fail(one.name, "is refused with arrays that share no memory: " + apart.error);
    // Where results need memory of their own first, it may be laid out otherwise, which rounds otherwise.
    if (!one.has_extremes && !are_near(one.results, apart.results)) {
        fail(one.name, "has other results with arrays that share no memory");
    }
    return Outcome::result;
}

}  // namespace fuzz
