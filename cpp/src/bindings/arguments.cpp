#include "arguments.h"

#include <limits>
#include <string_view>

#include "operations/check.h"

namespace fastnorm_python {
namespace {

constexpr std::size_t kHoldGil = 64 * 1024;  // bytes below which letting go of the GIL costs more than it gives

PyObject* num_threads_override = nullptr;
PyObject* core_parts = nullptr;  // the name of an attribute of Quantize and QuantizeRows

bool is_true_or_false(PyObject* value) { return value == Py_True || value == Py_False; }

// Whether something that has parts has those of a Quantize or a QuantizeRows: objects of tests have every attribute.
bool are_parts(PyObject* parts) {
    if (!PyTuple_CheckExact(parts)) return false;
    const Py_ssize_t n = PyTuple_GET_SIZE(parts);
    const auto at = [parts](Py_ssize_t i) { return PyTuple_GET_ITEM(parts, i); };
    const auto are_doubles = [&](Py_ssize_t i) {
        return is_plain_array(at(i)) && dtype_of(proxy_of(at(i)).descr) == fn::DType::f64;
    };
    if (n == 2) return is_true_or_false(at(0)) && is_true_or_false(at(1));
    return n == 3 && is_true_or_false(at(0)) && are_doubles(1) && are_doubles(2);
}

}  // namespace

PyObject* initialize_arguments() {
    PyObject* const none_set = PyLong_FromLong(0);
    num_threads_override = PyContextVar_New("fastnorm_num_threads", none_set);
    Py_XDECREF(none_set);
    core_parts = PyUnicode_InternFromString("_core_parts");
    return num_threads_override;
}

PyObject* Arguments::kept(PyObject* reference) {
    if (!reference) throw PythonError();
    kept_[kept_count_++] = reference;
    return reference;
}

PyObject* Arguments::ask(const char* function, const char* name, PyObject* value) {
    PyObject* const module = PyImport_ImportModule("fastnorm._arguments");
    if (!module) throw PythonError();
    PyObject* const result = PyObject_CallMethod(module, function, "sO", name, value);
    Py_DECREF(module);
    return kept(result);
}

fn::Tensor Arguments::tensor(PyObject* array) {
    PyObject* const descr = proxy_of(array).descr;
    fn::Tensor result = tensor_of(array, dtype_of(descr));
    if (result.dtype == fn::DType::bf16) bfloat16_ = array;
    if (result.dtype == fn::DType::other || result.dtype == fn::DType::swapped) {
        result.dtype_name = PyUnicode_AsUTF8(kept(PyObject_Str(descr)));
        if (!result.dtype_name) throw PythonError();
    }
    return result;
}

fn::Tensor Arguments::converted(const char* name, const char* how) {
    PyObject* value = take();
    if (value == Py_None) return {};
    if (!is_plain_array(value)) value = ask(how, name, value);
    return tensor(value);
}

fn::MutableTensor Arguments::written(const char* name, PyObject* value, PyObject** object) {
    if (value == Py_None) return {};
    if (!is_plain_array(value)) value = ask("written", name, value);
    if (object) *object = value;
    if (!(proxy_of(value).flags & NumPy::NPY_ARRAY_WRITEABLE_)) {
        throw fn::Error(fn::Error::Kind::value, std::string(name) + " must be writeable, got a read-only array");
    }
    fn::MutableTensor result;
    result.view = tensor(value);
    result.data = proxy_of(value).data;
    return result;
}

double Arguments::number(const char* name) {
    PyObject* const value = take();
    if (PyFloat_CheckExact(value)) return PyFloat_AS_DOUBLE(value);
    if (PyLong_CheckExact(value)) {
        const double whole = PyLong_AsDouble(value);
        if (whole != -1.0 || !PyErr_Occurred()) return whole;
        PyErr_Clear();
    }
    PyObject* const real = ask("number", name, value);
    return PyFloat_AS_DOUBLE(real);
}

std::optional<double> Arguments::number_or_none(const char* name) {
    if (*next_ != Py_None) return number(name);
    take();
    return std::nullopt;
}

std::int64_t Arguments::index(const char* name, PyObject* value) {
    if (!PyLong_CheckExact(value)) value = ask("integer", name, value);
    int overflow = 0;
    const long long result = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (!overflow) return result;
    huge_ = value;
    return overflow < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

std::int64_t Arguments::integer(const char* name) { return index(name, take()); }

bool Arguments::boolean(const char* name) {
    PyObject* value = take();
    if (!is_true_or_false(value)) value = ask("boolean", name, value);
    return value == Py_True;
}

fn::AxisList Arguments::axes() {
    PyObject* value = take();
    if (PyLong_CheckExact(value)) return index("axis", value);
    if (!PyTuple_CheckExact(value)) value = ask("axes", "axis", value);
    if (!PyTuple_CheckExact(value)) return index("axis", value);
    fn::AxisList result({});
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(value); ++i) result.push(index("axis", PyTuple_GET_ITEM(value, i)));
    return result;
}

fn::AxisList Arguments::axes_or_none() {
    if (*next_ != Py_None) return axes();
    take();
    return fn::AxisList::none();
}

fn::Activation Arguments::activation() {
    PyObject* const value = take();
    if (value == Py_None) return fn::Activation::none;
    if (PyUnicode_CheckExact(value)) {
        int number = 0;
        for (const char* const name : fn::kActivationNames) {
            ++number;
            if (PyUnicode_CompareWithASCIIString(value, name) == 0) return static_cast<fn::Activation>(number);
        }
    }
    return static_cast<fn::Activation>(PyLong_AsLong(ask("activation", "activation", value)));
}

fn::Standardization Arguments::mode() {
    PyObject* const value = take();
    if (PyUnicode_CheckExact(value) && PyUnicode_CompareWithASCIIString(value, "var") == 0) {
        return fn::Standardization::var;
    }
    return static_cast<fn::Standardization>(PyLong_AsLong(ask("mode", "mode", value)));
}

void Arguments::quantize(fn::NormOptions& options) {
    PyObject* const value = take();
    if (value == Py_None) return;
    // Whether the bytes are signed, and: scale and zero point in float64, or whether rows are symmetric.
    PyObject* parts = PyObject_GetAttr(value, core_parts);
    if (!parts && !PyErr_ExceptionMatches(PyExc_AttributeError)) throw PythonError();
    PyErr_Clear();
    if (parts) kept(parts);
    if (!parts || !are_parts(parts)) parts = ask("quantize", "quantize", value);
    const fn::DType dtype = PyTuple_GET_ITEM(parts, 0) == Py_True ? fn::DType::i8 : fn::DType::u8;
    if (PyTuple_GET_SIZE(parts) == 2) {
        quantize_rows_ = {dtype, PyTuple_GET_ITEM(parts, 1) == Py_True};
        options.quantize_rows = &quantize_rows_;
        return;
    }
    quantize_ = {tensor(PyTuple_GET_ITEM(parts, 1)), tensor(PyTuple_GET_ITEM(parts, 2)), dtype};
    options.quantize = &quantize_;
}

std::array<bool, 3> Arguments::grad_mask() {
    PyObject* value = take();
    const auto usual = [value] {
        if (!PyTuple_CheckExact(value) || PyTuple_GET_SIZE(value) != 3) return false;
        for (Py_ssize_t i = 0; i < 3; ++i) {
            if (!is_true_or_false(PyTuple_GET_ITEM(value, i))) return false;
        }
        return true;
    };
    if (!usual()) value = ask("grad_mask", "grad_mask", value);
    std::array<bool, 3> result;
    for (std::size_t i = 0; i < 3; ++i) {
        result[i] = PyTuple_GET_ITEM(value, static_cast<Py_ssize_t>(i)) == Py_True;
    }
    return result;
}

void Arguments::begin_work(std::size_t bytes) {
    PyObject* override = nullptr;
    if (PyContextVar_Get(num_threads_override, nullptr, &override) < 0) throw PythonError();
    const long threads = PyLong_AsLong(override);
    Py_DECREF(override);
    if (threads > 0) threads_before_ = fn::set_local_num_threads(static_cast<int>(threads));
    if (bytes >= kHoldGil) without_gil_ = PyEval_SaveThread();
}

void Arguments::end_work() {
    if (threads_before_ >= 0) fn::set_local_num_threads(threads_before_);
    threads_before_ = -1;
    if (without_gil_) take_gil(without_gil_);
    without_gil_ = nullptr;
}

void Arguments::finish() {
    for (std::size_t i = 0; i < kept_count_; ++i) Py_DECREF(kept_[i]);
    kept_count_ = 0;
}

std::string Arguments::corrected(std::string text) const {
    if (!huge_) return text;
    PyObject* const given = PyObject_Str(huge_);
    if (!given) {
        PyErr_Clear();
        return text;
    }
    for (const auto limit : {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
        const std::string number = std::to_string(limit);
        const std::size_t at = text.rfind(number);
        if (at != std::string::npos) text.replace(at, number.size(), PyUnicode_AsUTF8(given));
    }
    Py_DECREF(given);
    return text;
}

}  // namespace fastnorm_python
