// Results of one call: the arrays that the caller gave, or new ones.
#pragma once

#include "arguments.h"

namespace fastnorm_python {

class Results final : public fn::ResultMaker {
public:
    explicit Results(Arguments& arguments) : arguments_(arguments) {}

    // The next argument is result `index`, or None.
    fn::MutableTensor given(std::size_t index, const char* name);
    fn::MutableTensor given(std::size_t index, const char* name, PyObject* value);

    fn::MutableTensor make(std::size_t index, fn::DType dtype, std::size_t ndim, const std::size_t* shape,
                           const fn::Tensor& like, const fn::Tensor& other) override;
    void begin(std::size_t bytes) override { arguments_.begin_work(bytes); }

    // A new reference to the only result; a tuple of the first `count`, None where nothing was made.
    PyObject* one();
    PyObject* tuple(std::size_t count);
    // The same of y, perhaps h, scale and zero point, as fastnorm._arguments makes one of them.
    PyObject* quantized(std::size_t count);
    // What was made is not wanted: the call failed.
    void discard();

private:
    Arguments& arguments_;
    PyObject* objects_[5] = {};
};

}  // namespace fastnorm_python
