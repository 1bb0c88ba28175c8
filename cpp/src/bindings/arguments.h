// The arguments of one call from Python, read in order: what is usual at once, anything else by way of
// fastnorm._arguments, which converts it or says what is wrong with it.
#pragma once

#include "array.h"
#include "gil.h"

namespace fastnorm_python {

namespace fn = fastnorm;

// Thrown when a Python exception is set.
struct PythonError {};

// Whoever makes it calls `finish`.
class Arguments {
public:
    Arguments(PyObject* const* values, Py_ssize_t count) : next_(values), end_(values + count) {}

    // Anything that can be looked at as an array; None is none.
    fn::Tensor array(const char* name) { return converted(name, "array"); }
    // The same for small arrays that go with the data, where lists of integers will do.
    fn::Tensor values(const char* name) { return converted(name, "parameter"); }
    // An ndarray that is written to; None is none. `object` gets a borrowed reference.
    fn::MutableTensor written(const char* name, PyObject** object = nullptr) { return written(name, take(), object); }
    fn::MutableTensor written(const char* name, PyObject* value, PyObject** object);

    double number(const char* name);
    std::optional<double> number_or_none(const char* name);
    std::int64_t integer(const char* name);
    bool boolean(const char* name);
    // One axis, or several.
    fn::AxisList axes();
    fn::AxisList axes_or_none();
    fn::Activation activation();
    fn::Standardization mode();
    // Into `options`: for all, or for rows.
    void quantize(fn::NormOptions& options);
    std::array<bool, 3> grad_mask();
    PyObject* take() { return *next_++; }

    // An array whose dtype NumPy itself does not have, if there was one.
    PyObject* bfloat16_array() const { return bfloat16_; }

    // Lets go of the GIL for work on that many bytes, if that gains anything.
    void begin_work(std::size_t bytes);
    // Calls `work` with the number of threads of this context; exceptions come when the GIL is back.
    template <class F>
    void run(F&& work) {
        std::exception_ptr error;
        try {
            work();
        } catch (...) {
            error = std::current_exception();
        }
        end_work();
        if (error) std::rethrow_exception(error);
    }
    void finish();
    // Texts of an integer that is beyond 64 bits have the number that was given.
    std::string corrected(std::string text) const;

private:
    fn::Tensor converted(const char* name, const char* how);
    fn::Tensor tensor(PyObject* array);
    PyObject* kept(PyObject* reference);
    // Calls a function of fastnorm._arguments; a new reference that is kept until `finish`.
    PyObject* ask(const char* function, const char* name, PyObject* value);
    std::int64_t index(const char* name, PyObject* value);
    void end_work();

    PyObject* const* next_;
    PyObject* const* end_;
    std::size_t kept_count_ = 0;
    PyObject* kept_[48];
    PyObject* bfloat16_ = nullptr;
    PyObject* huge_ = nullptr;
    PyThreadState* without_gil_ = nullptr;
    int threads_before_ = -1;
    fn::QuantizeOptions quantize_;
    fn::QuantizeRowsOptions quantize_rows_;
};

// Makes what arguments are read with, leaked on purpose. Returns the context variable of `fastnorm.threads`, whose
// value is 0 where nothing is set.
PyObject* initialize_arguments();

}  // namespace fastnorm_python
