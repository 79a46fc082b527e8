import { render } from "preact";
import { useEffect } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { go, useRoute, useTheme } from "./hooks";
import { model } from "./model";
import { Alarms } from "./pages/alarms";
import { Fleet } from "./pages/fleet";
import { SensorPage } from "./pages/sensor";
import { Banner } from "./parts/banner";
import { Header } from "./parts/header";

function App() {
  const route = useRoute();
  const [theme, toggleTheme] = useTheme();
  useEffect(() => {
    const keys = (event: KeyboardEvent) => {
      if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "t") toggleTheme();
      if (event.key === "Escape" && route !== "/") go("/");
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, [route]);
  const sensor = /^\/sensors\/(.+)$/.exec(route)?.[1];
  return (
    <>
      <Header route={route} theme={theme} toggleTheme={toggleTheme} />
      <Banner />
      {sensor ? <SensorPage key={sensor} id={decodeURIComponent(sensor)} theme={theme} /> : route === "/alarms" ? <Alarms /> : <Fleet />}
    </>
  );
}

model.start();
const root = document.getElementById("app");
if (root) render(<App />, root);
