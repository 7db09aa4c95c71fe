# Homebrew formula. From a checkout: brew install --HEAD ./tools/packaging/railyard.rb
class Railyard < Formula
  desc "Test yard for RDMA collectives"
  homepage "https://github.com/railyard/railyard"
  head "https://github.com/railyard/railyard.git", branch: "main"

  depends_on "cli11" => :build
  depends_on "cmake" => :build
  depends_on "ninja" => :build
  depends_on "valijson" => :build
  depends_on "boost"
  depends_on "eigen"
  depends_on "fmt"
  depends_on "highway"
  depends_on "nlohmann-json"

  def install
    system "cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DRAILYARD_TESTS=OFF", *std_cmake_args
    system "cmake", "--build", "build"
    system "cmake", "--install", "build"
  end

  test do
    system bin/"railyard", "doctor"
    system bin/"railyard", "run", pkgshare/"scenarios/empty.json"
  end
end
