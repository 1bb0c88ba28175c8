// The part of ONNX Runtime's C interface that custom operators need, so that building takes no foreign header.
//
// The interface is a table of function pointers that only grows: an entry never changes its position. Positions and the
// layout of CustomOp are those of `onnxruntime_c_api.h` in ONNX Runtime 1.16 (MIT),
// https://github.com/microsoft/onnxruntime.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fastnorm::onnxruntime {

constexpr std::uint32_t kVersion = 16;

struct Api;  // the table
struct Status;
struct SessionOptions;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct Value;
struct TensorInfo;

struct ApiBase {
    const Api* (*get_api)(std::uint32_t version);  // nullptr if the runtime is older
    const char* (*version)();
};

enum Code : int { kFail = 1, kInvalidArgument = 2, kRuntimeException = 6 };

enum ElementType : int { kFloat = 1, kFloat16 = 10, kDouble = 11, kBFloat16 = 16 };

enum Characteristic : int { kRequired = 0, kOptional = 1 };

// An operator of one set of dtypes.
struct CustomOp {
    std::uint32_t version = kVersion;
    void* (*create_kernel)(const CustomOp*, const Api*, const KernelInfo*) = nullptr;
    const char* (*name)(const CustomOp*) = nullptr;
    const char* (*execution_provider)(const CustomOp*) = nullptr;
    ElementType (*input_type)(const CustomOp*, std::size_t index) = nullptr;
    std::size_t (*input_count)(const CustomOp*) = nullptr;
    ElementType (*output_type)(const CustomOp*, std::size_t index) = nullptr;
    std::size_t (*output_count)(const CustomOp*) = nullptr;
    void (*compute)(void* kernel, KernelContext*) = nullptr;
    void (*destroy_kernel)(void* kernel) = nullptr;
    Characteristic (*input_characteristic)(const CustomOp*, std::size_t index) = nullptr;
    Characteristic (*output_characteristic)(const CustomOp*, std::size_t index) = nullptr;
    int (*input_memory)(const CustomOp*, std::size_t index) = nullptr;
    int (*variadic_input_least)(const CustomOp*) = nullptr;
    int (*variadic_input_homogeneity)(const CustomOp*) = nullptr;
    int (*variadic_output_least)(const CustomOp*) = nullptr;
    int (*variadic_output_homogeneity)(const CustomOp*) = nullptr;
    Status* (*create_kernel_v2)(const CustomOp*, const Api*, const KernelInfo*, void** kernel) = nullptr;
    Status* (*compute_v2)(void* kernel, KernelContext*) = nullptr;
    void* later[7] = {};  // of versions 17 and 18, which a runtime leaves alone in version 16
};

// One entry of the table.
template <std::size_t kPosition, class Result, class... Arguments>
struct Entry {
    Result operator()(const Api* api, Arguments... arguments) const {
        using Function = Result (*)(Arguments...);
        return reinterpret_cast<const Function*>(api)[kPosition](arguments...);
    }
};

constexpr Entry<0, Status*, Code, const char*> create_status;
constexpr Entry<26, Status*, const char*, CustomOpDomain**> create_custom_op_domain;
constexpr Entry<27, Status*, CustomOpDomain*, const CustomOp*> custom_op_domain_add;
constexpr Entry<28, Status*, SessionOptions*, CustomOpDomain*> add_custom_op_domain;
constexpr Entry<51, Status*, Value*, void**> get_tensor_mutable_data;
constexpr Entry<61, Status*, const TensorInfo*, std::size_t*> get_dimensions_count;
constexpr Entry<62, Status*, const TensorInfo*, std::int64_t*, std::size_t> get_dimensions;
constexpr Entry<65, Status*, const Value*, TensorInfo**> get_tensor_type_and_shape;
constexpr Entry<85, Status*, const KernelInfo*, const char*, float*> kernel_info_get_float;
constexpr Entry<86, Status*, const KernelInfo*, const char*, std::int64_t*> kernel_info_get_int64;
constexpr Entry<87, Status*, const KernelInfo*, const char*, char*, std::size_t*> kernel_info_get_string;
constexpr Entry<88, Status*, const KernelContext*, std::size_t*> kernel_context_get_input_count;
constexpr Entry<89, Status*, const KernelContext*, std::size_t*> kernel_context_get_output_count;
constexpr Entry<90, Status*, const KernelContext*, std::size_t, const Value**> kernel_context_get_input;
constexpr Entry<91, Status*, KernelContext*, std::size_t, const std::int64_t*, std::size_t, Value**>
    kernel_context_get_output;
constexpr Entry<93, void, Status*> release_status;
constexpr Entry<99, void, TensorInfo*> release_tensor_info;

}  // namespace fastnorm::onnxruntime
