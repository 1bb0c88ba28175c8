// A program that knows no Python: the operations by name, forward and backward, and the texts of errors. Prints what it
// computed, one named array a line, for the test to compare.
#include <fastnorm/operations.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <vector>

namespace fn = fastnorm;

namespace {

template <class T>
void print(const char* name, const std::vector<T>& values) {
    std::printf("%s", name);
    for (const T value : values) std::printf(" %.17g", static_cast<double>(value));
    std::printf("\n");
}

// Numbers that look random enough, around a mean that is far from zero.
std::vector<float> numbers(std::size_t count, unsigned seed) {
    std::vector<float> values(count);
    for (float& value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = 10.0f + static_cast<float>(seed >> 8) / 16777216.0f;
    }
    return values;
}

void layer_norm() {
    const std::size_t shape[] = {5, 37}, channels[] = {37}, statistics[] = {5, 1};
    const auto x = numbers(5 * 37, 1), weight = numbers(37, 2), bias = numbers(37, 3), dy = numbers(5 * 37, 4);
    std::vector<float> y(x.size()), dx(x.size()), dweight(37), dbias(37);
    std::vector<double> mean(5), rstd(5);

    fn::NormOptions options;
    options.weight = {weight.data(), channels};
    options.bias = {bias.data(), channels};
    fn::layer_norm_forward({x.data(), shape}, -1, options,
                           {{y.data(), shape}, {mean.data(), statistics}, {rstd.data(), statistics}});

    fn::BackwardOptions backward;
    backward.weight = options.weight;
    fn::layer_norm_backward({dy.data(), shape}, {x.data(), shape}, {mean.data(), statistics}, {rstd.data(), statistics},
                            -1, backward, {{dx.data(), shape}, {dweight.data(), channels}, {dbias.data(), channels}});
    print("layer.x", x);
    print("layer.weight", weight);
    print("layer.bias", bias);
    print("layer.dy", dy);
    print("layer.y", y);
    print("layer.mean", mean);
    print("layer.rstd", rstd);
    print("layer.dx", dx);
    print("layer.dweight", dweight);
    print("layer.dbias", dbias);
}

void group_norm() {
    // 2 images of 6 channels in 3 groups, channel last: the buffer is (n, h, w, c).
    const std::size_t shape[] = {2, 4, 5, 6};
    const auto x = numbers(2 * 4 * 5 * 6, 5);
    std::vector<float> y(x.size());
    fn::group_norm({x.data(), shape}, 3, -1, {}, {{y.data(), shape}});
    print("group.x", x);
    print("group.y", y);
}

void batch_norm() {
    const std::size_t shape[] = {8, 3}, channels[] = {3};
    const auto x = numbers(24, 6);
    std::vector<float> y(x.size()), running_mean(3, 0.0f), running_var(3, 1.0f);
    fn::RunningStatistics running;
    running.mean = {running_mean.data(), channels};
    running.var = {running_var.data(), channels};
    fn::batch_norm_forward({x.data(), shape}, 1, {}, running, {{y.data(), shape}});
    print("batch.x", x);
    print("batch.y", y);
    print("batch.running_mean", running_mean);
    print("batch.running_var", running_var);
}

void weights() {
    const std::size_t shape[] = {4, 9}, lengths[] = {4, 1};
    const auto v = numbers(36, 7), g = numbers(4, 8);
    std::vector<float> w(v.size());
    fn::weight_norm({v.data(), shape}, {g.data(), lengths}, 0, 1, 0.0, {{w.data(), shape}});
    print("weight.v", v);
    print("weight.g", g);
    print("weight.w", w);
}

void whitening() {
    const std::size_t shape[] = {6, 3}, square[] = {3, 3}, features[] = {3};
    const auto x = numbers(18, 9);
    const std::vector<double> matrix{1, 0, 0, 0.5, 2, 0, 0.25, 0, 4}, mean{10, 10.5, 11};
    std::vector<float> y(x.size());
    fn::whitening_transform({x.data(), shape}, {mean.data(), features}, {matrix.data(), square}, {}, {y.data(), shape});
    print("whitening.x", x);
    print("whitening.y", y);
}

// Results that lie in the memory of inputs, in other places, are those of copies.
void overlaps() {
    const std::size_t shape[] = {4, 6}, features[] = {6}, rows[] = {4, 1}, one[] = {1, 1}, square[] = {6, 6};
    const auto numbers_as_double = numbers(24, 12), more = numbers(36, 13);
    const std::vector<double> x(numbers_as_double.begin(), numbers_as_double.end()), matrix(more.begin(), more.end());
    std::vector<double> memory, mean(4), rstd(4, 0.5), apart(36), y(24);
    const auto compare = [&](const char* name, std::size_t n) {
        print(name, std::vector<int>{std::equal(memory.begin(), memory.begin() + n, apart.begin())});
    };
    fn::MomentResults moments;
    memory = x, moments.mean = {apart.data(), one};
    fn::moments({x.data(), shape}, {0, 1}, {}, moments);
    moments.mean = {memory.data(), one};
    fn::moments({memory.data(), shape}, {0, 1}, {}, moments);
    compare("overlap.moments", 1);

    fn::BackwardOptions backward;  // dx over the weight, and over a statistic
    backward.weight = {matrix.data(), features};
    const auto call = [&](const double* scales, double* dx) {
        fn::layer_norm_backward({x.data(), shape}, {x.data(), shape}, {mean.data(), rows}, {scales, rows}, -1, backward,
                                {{dx, shape}});
    };
    memory = matrix;
    call(rstd.data(), apart.data());
    backward.weight = {memory.data(), features};
    call(rstd.data(), memory.data());
    compare("overlap.weight", 24);
    memory = matrix, backward.weight = {matrix.data(), features};
    call(matrix.data(), apart.data());
    call(memory.data(), memory.data());
    compare("overlap.rstd", 24);

    memory = matrix;
    fn::whitening_transform({x.data(), shape}, {}, {matrix.data(), square}, {}, {apart.data(), shape});
    fn::whitening_transform({x.data(), shape}, {}, {memory.data(), square}, {}, {memory.data(), shape});
    compare("overlap.matrix", 24);
}

// Every wrong call throws, and writes nothing.
void errors() {
    const std::size_t shape[] = {2, 4, 3}, three[] = {3}, four[] = {4}, two[] = {2, 4}, rows[] = {2, 4, 1};
    std::size_t many[66];
    std::fill_n(many, 66, std::size_t{1});
    std::vector<double> statistics(8, 7.0);
    const fn::MutableTensor eight(statistics.data(), rows);
    const std::ptrdiff_t nowhere[] = {0, 0, 0};
    const fn::QuantizeOptions nothing;
    fn::QuantizeRowsOptions floats;
    floats.dtype = fn::DType::f32;
    fn::FilterOptions filters;
    filters.mode = static_cast<fn::Standardization>(7);
    const auto x = numbers(24, 10), small = numbers(4, 11);
    const std::vector<double> wide(24);
    std::vector<float> y(24, 7.0f), buffer(4, 7.0f), more(4, 7.0f);
    const fn::Tensor data(x.data(), shape);
    const fn::NormResults out{{y.data(), shape}};
    const auto with = [](auto&& set) {
        fn::NormOptions options;
        set(options);
        return options;
    };
    using Options = fn::NormOptions;
    fn::RunningStatistics running;
    running.mean = {buffer.data(), four};
    const std::function<void()> calls[] = {
        [&] { fn::layer_norm(data, 3, {}, out); },
        [&] { fn::layer_norm(data, {1, -2}, {}, out); },
        [&] { fn::layer_norm(data, -1, with([&](Options& o) { o.weight = {small.data(), four}; }), out); },
        [&] { fn::layer_norm(data, -1, with([&](Options& o) { o.eps = -1.0; }), out); },
        [&] {
            fn::layer_norm({wide.data(), shape}, -1, with([&](Options& o) { o.bias = {small.data(), three}; }), out);
        },
        [&] { fn::batch_norm({small.data(), four}, {small.data(), four}, {small.data(), four}, 0, {}, out); },
        [&] { fn::group_norm(data, 3, 1, {}, out); },
        [&] { fn::group_norm(data, 1, 0, {}, out); },
        [&] { fn::rms_norm(data, -1, {}, {{y.data(), two}}); },
        [&] { fn::batch_norm_forward(data, 1, {}, running, out); },
        [&] { fn::layer_norm(data, -1, {}, {}); },
        [&] { fn::layer_norm({x.data(), many}, -1, {}, out); },
        [&] { fn::layer_norm_forward(data, -1, {}, {out.y, eight, eight}); },
        [&] { fn::layer_norm_forward(data, -1, {}, {out.y, {statistics.data(), rows, nowhere}}); },
        [&] {
            const fn::RunningStatistics both{{buffer.data(), four}, {more.data(), four}};
            const fn::MutableTensor mean(buffer.data(), four);
            fn::batch_norm_forward(data, 1, {}, both, {out.y, mean});
        },
        [&] { fn::layer_norm(data, -1, with([](Options& o) { o.activation = static_cast<fn::Activation>(9); }), out); },
        [&] { fn::layer_norm(data, -1, with([&](Options& o) { o.quantize = &nothing; }), out); },
        [&] { fn::layer_norm(data, -1, with([&](Options& o) { o.quantize_rows = &floats; }), out); },
        [&] { fn::weight_standardization(data, {}, filters, {out.y}); },
        [&] {
            const fn::Tensor sums(small.data(), three);
            fn::batch_norm_backward_apply(data, data, {}, sums, sums, sums, sums, {}, -1, 0.0, {out.y});
        },
        [&] {
            const fn::Tensor three_doubles(wide.data(), three), count(wide.data(), fn::DType::f64, 0, nullptr);
            fn::batch_norm_backward_apply(data, data, {}, three_doubles, three_doubles, three_doubles, three_doubles,
                                          count, -1, 0.0, {out.y, {buffer.data(), three}});
        },
    };
    for (const auto& call : calls) {
        try {
            call();
            std::printf("error none\n");
        } catch (const fn::Error& error) {
            std::printf("error %s: %s\n", error.kind() == fn::Error::Kind::type ? "type" : "value", error.what());
        }
    }
    print("error.y", y);
}

}  // namespace

int main() {
    fn::set_num_threads(2);
    layer_norm();
    group_norm();
    batch_norm();
    weights();
    whitening();
    overlaps();
    errors();
    for (const auto& target : fn::simd_targets()) std::fprintf(stderr, "target %s\n", target.c_str());
}
